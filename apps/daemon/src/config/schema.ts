import { Cron } from 'croner';
import { z } from 'zod';
import { duration, size } from './units.js';

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a name has letters, digits, dots, dashes and underscores');
const count = z.number().int().min(0);

const cron = z.string().superRefine((pattern, context) => {
  try {
    new Cron(pattern, { paused: true }).stop();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    context.addIssue({ code: 'custom', message: `"${pattern}" is no cron pattern: ${reason}` });
  }
});

export const retention = z
  .strictObject({
    'keep-last': count.optional(),
    'keep-hourly': count.optional(),
    'keep-daily': count.optional(),
    'keep-weekly': count.optional(),
    'keep-monthly': count.optional(),
    'keep-within': duration.optional(),
  })
  .refine(
    (rules) => Object.values(rules).some((rule) => rule !== undefined),
    'at least one keep-... rule is needed',
  );

export const hooks = z.strictObject({
  /** Command and arguments; a failure cancels the checkpoint. */
  before: z.array(z.string()).min(1).optional(),
  /** Runs whatever became of `before` and of the checkpoint. */
  after: z.array(z.string()).min(1).optional(),
  timeout: duration.default(10_000),
});

export const adaptive = z.strictObject({
  /** Mean time between failures of the host, the M of Young's and Daly's formula. */
  mtbf: duration,
  min: duration.default(1000),
  max: duration.default(600_000),
});

export const machine = z
  .strictObject({
    location: z.string(),
    repository: name,
    every: duration.optional(),
    cron: cron.optional(),
    adaptive: adaptive.optional(),
    'pause-budget': duration.optional(),
    disks: z.enum(['refuse', 'external']).default('refuse'),
    'machine-id': name.optional(),
    compressor: z.string().optional(),
    level: count.optional(),
    retention: retention.optional(),
    'prune-every': duration.default(3_600_000),
    'verify-every': duration.optional(),
    hooks: hooks.optional(),
    config: z.record(z.string(), z.unknown()).optional(),
  })
  .refine(
    (value) => [value.every, value.cron, value.adaptive].filter((each) => each !== undefined).length === 1,
    {
      message: 'exactly one of every, cron and adaptive says when checkpoints are taken',
    },
  );

export const repository = z.strictObject({
  location: z.string(),
  /** Make the repository when it is not there. */
  create: z.boolean().default(false),
  /** Bytes a second that puts may take. */
  bandwidth: size.optional(),
  config: z.record(z.string(), z.unknown()).optional(),
});

export const daemon = z
  .strictObject({
    socket: z.string().default('/run/fitdocd.sock'),
    /** Folder for what the daemon remembers beside the repositories. */
    state: z.string().default('/var/lib/fitdocd'),
    /** HOST:PORT; needs a token. */
    listen: z
      .string()
      .regex(/^.+:\d+$/, 'listen is HOST:PORT')
      .optional(),
    'token-file': z.string().optional(),
    workers: z.number().int().positive().optional(),
    /** Bytes of guest images that may be held at a time. */
    memory: size.optional(),
    /** Checkpoints under way at a time, until they are durable. */
    'max-captures': z.number().int().positive().default(4),
    'grace-period': duration.default(30_000),
    /** Packages of other makers that export adapters. */
    adapters: z.array(z.string()).default([]),
    'log-level': z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  })
  .refine((value) => value.listen === undefined || value['token-file'] !== undefined, {
    message: 'listen needs a token-file: the API can restore and delete',
    path: ['listen'],
  });

export const configuration = z
  .strictObject({
    daemon: daemon.prefault({}),
    repositories: z.record(name, repository),
    machines: z.record(name, machine),
  })
  .superRefine((value, context) => {
    for (const [key, { repository: wanted }] of Object.entries(value.machines)) {
      if (wanted in value.repositories) continue;
      const known = Object.keys(value.repositories).join(', ') || 'none';
      context.addIssue({
        code: 'custom',
        path: ['machines', key, 'repository'],
        message: `there is no repository "${wanted}"; known: ${known}`,
      });
    }
  });

export type Configuration = z.output<typeof configuration>;
export type MachineSettings = z.output<typeof machine>;
export type RepositorySettings = z.output<typeof repository>;
export type DaemonSettings = z.output<typeof daemon>;
export type RetentionRules = z.output<typeof retention>;
