import path from 'node:path';
import { Cron } from 'croner';
import { z } from 'zod';
import { MAX_HOOK_MS } from '@fitdoc/engine';
import { isFitdocError } from '@fitdoc/interface';
import { isMachinePattern } from '@fitdoc/adapters';
import { checkPolicy } from '@fitdoc/repository';
import { retentionPolicy } from './retention.js';
import { duration, port, size } from './units.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const LETTERS = 'a name has letters, digits, dots, dashes and underscores';
const name = z.string().regex(NAME, LETTERS);
const machineName = z.string().regex(NAME, `${LETTERS}; a pattern has a scheme and a *: "libvirt:*"`);
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
    'keep-yearly': count.optional(),
    'keep-within': duration.optional(),
    'keep-all-for': duration.optional(),
    'keep-minutely-for': duration.optional(),
    'keep-hourly-for': duration.optional(),
    'keep-daily-for': duration.optional(),
    'keep-weekly-for': duration.optional(),
    'keep-monthly-for': duration.optional(),
    'keep-yearly-for': duration.optional(),
  })
  .superRefine((rules, context) => {
    try {
      checkPolicy(retentionPolicy(rules));
    } catch (error) {
      if (!isFitdocError(error)) throw error;
      const hint = error.hint === undefined ? '' : ` ${error.hint}`;
      context.addIssue({ code: 'custom', message: `${error.message}${hint}` });
    }
  });

export const hooks = z.strictObject({
  /** Command and arguments; a failure cancels the checkpoint. */
  before: z.array(z.string()).min(1).optional(),
  /** Runs whatever became of `before` and of the checkpoint. */
  after: z.array(z.string()).min(1).optional(),
  timeout: duration.default(10_000),
});

export const pauseHook = z.strictObject({
  /** Command and arguments, run while the guest stands. */
  command: z.array(z.string()).min(1),
  /** When the guest goes on at the latest. */
  timeout: duration
    .refine((ms) => ms > 0 && ms <= MAX_HOOK_MS, {
      message: `is longer than 0 and at most ${MAX_HOOK_MS / 1000}s: the guest stands meanwhile`,
    })
    .default(1000),
  'on-failure': z.enum(['fail', 'note']).default('fail'),
});

export const quiesce = z.strictObject({
  /** When the guest's file systems are thawed at the latest. */
  timeout: duration.default(10_000),
  'on-failure': z.enum(['fail', 'note']).default('fail'),
});

export const adaptive = z.strictObject({
  /** Mean time between failures of the host, the M of Young's and Daly's formula. */
  mtbf: duration,
  min: duration.default(1000),
  max: duration.default(600_000),
});

const expression = z.string().refine(isExpression, { message: 'is no regular expression' });

/** How machines are protected, whichever they are. */
const protection = {
  repository: name,
  every: duration.optional(),
  cron: cron.optional(),
  adaptive: adaptive.optional(),
  'pause-budget': duration.optional(),
  'pause-budget-wait': duration.default(5000),
  'pause-budget-over': z.enum(['exceed', 'refuse', 'warn']).default('exceed'),
  disks: z.enum(['refuse', 'external', 'capture']).default('refuse'),
  'leave-out-disks': z.array(z.string()).default([]),
  compressor: z.string().optional(),
  level: count.optional(),
  retention: retention.optional(),
  'prune-every': duration.default(3_600_000),
  /** Merge checkpoints in the background, so that restores read few objects and what no rule keeps goes. */
  merge: z.boolean().default(true),
  'verify-every': duration.optional(),
  /** Start the newest checkpoint's machine apart from everything, and see that it runs. */
  'verify-boot-every': duration.optional(),
  /** How long it is watched. */
  'verify-boot-for': duration.default(10_000),
  /** A regular expression that its console has to show. */
  'verify-boot-console': expression.optional(),
  /** A port of it that has to take a connection: 22, "192.168.1.7/24:22". */
  'verify-boot-tcp': port.optional(),
  /** A regular expression of what that port has to say first. */
  'verify-boot-banner': expression.optional(),
  hooks: hooks.optional(),
  'pause-hook': pauseHook.optional(),
  quiesce: quiesce.optional(),
  config: z.record(z.string(), z.unknown()).optional(),
};

const ONE_SCHEDULE = { message: 'exactly one of every, cron and adaptive says when checkpoints are taken' };

function hasOneSchedule(value: Partial<Record<'every' | 'cron' | 'adaptive', unknown>>): boolean {
  return [value.every, value.cron, value.adaptive].filter((each) => each !== undefined).length === 1;
}

const BANNER_OF_A_PORT = {
  message: 'verify-boot-banner needs verify-boot-tcp',
  path: ['verify-boot-banner'],
};

function hasPortOfBanner(value: Partial<Record<'verify-boot-tcp' | 'verify-boot-banner', unknown>>): boolean {
  return value['verify-boot-banner'] === undefined || value['verify-boot-tcp'] !== undefined;
}

export const machine = z
  .strictObject({ location: z.string(), 'machine-id': name.optional(), ...protection })
  .refine(hasOneSchedule, ONE_SCHEDULE)
  .refine(hasPortOfBanner, BANNER_OF_A_PORT);

/** Machines that come and go, by a pattern that is the table's name: `libvirt:web-*`. */
export const pattern = z
  .strictObject({
    /** Names, with wildcards, of those that the pattern leaves out. */
    except: z.array(z.string()).default([]),
    /** Only those that their operator has marked with it. */
    tag: z.string().min(1).optional(),
    /** How often it is looked what there is. */
    'look-every': duration.default(10_000),
    ...protection,
  })
  .refine(hasOneSchedule, ONE_SCHEDULE)
  .refine(hasPortOfBanner, BANNER_OF_A_PORT);

export const repository = z
  .strictObject({
    location: z.string(),
    /** Make the repository when it is not there. */
    create: z.boolean().default(false),
    /** The repository that is meant, where another was known to be at the location. */
    id: z.uuid().optional(),
    /** A group that may read what is made in a directory. Default: its owner only. */
    group: z.string().optional(),
    /** Refuse a directory that is not on a mounted file system: any, or the one mounted at this path. */
    'require-mount': z.union([z.boolean(), z.string().startsWith('/')]).optional(),
    /** Encrypted: files with its passphrase or its key, or a command that prints the passphrase. */
    'passphrase-file': z.string().optional(),
    'passphrase-command': z.string().optional(),
    'key-file': z.string().optional(),
    /** Who else can open it, where it is made: age recipients. */
    recipients: z.array(z.string()).optional(),
    /** Bytes a second that puts may take. */
    bandwidth: size.optional(),
    /** Bytes a second that merging may read and write. */
    'merge-bandwidth': size.optional(),
    config: z.record(z.string(), z.unknown()).optional(),
  })
  .refine(
    (value) =>
      value.recipients === undefined ||
      [value['passphrase-file'], value['passphrase-command'], value['key-file']].some(
        (each) => each !== undefined,
      ),
    {
      message: 'the daemon must open the repository itself: add passphrase-file or key-file',
      path: ['recipients'],
    },
  );

/** A machine of a repository, protected elsewhere, that is kept ready here. */
export const standby = z.strictObject({
  /** Its id, or its name there. Default: the table's name. */
  machine: z.string().min(1).optional(),
  repository: name,
  /** A directory of its own: the machine's memory, as large as that. */
  dir: z.string().startsWith('/', 'takes a path from the root: "/var/lib/fitdoc/web"'),
  /** Between two looks at the repository. */
  every: duration.default(1000),
  /** Of its command, in place of the machine's own, when it is started: ["-netdev", "..."]. */
  options: z.array(z.string()).default([]),
});

export const daemon = z
  .strictObject({
    socket: z.string().default('/run/fitdocd.sock'),
    /** A group that may use the socket. Default: its owner only. */
    group: z.string().optional(),
    /** Folder for what the daemon remembers beside the repositories. */
    state: z.string().default('/var/lib/fitdocd'),
    /** HOST:PORT; needs a token. */
    listen: z
      .string()
      .regex(/^.+:\d+$/, 'listen is HOST:PORT')
      .optional(),
    'token-file': z.string().optional(),
    workers: z.number().int().positive().optional(),
    /** Bytes that guests' images may take together. */
    memory: size.optional(),
    /** On a disk: keeps what of them has no place in memory. */
    'cold-dir': z.string().optional(),
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
    machines: z.record(machineName, machine),
    /** Tables of machines whose names are patterns; `parseConfiguration` tells the two apart. */
    patterns: z.record(z.string().refine(isMachinePattern), pattern),
    standbys: z.record(name, standby).default({}),
  })
  .superRefine(({ repositories, machines, patterns, standbys }, context) => {
    const known = Object.keys(repositories).join(', ') || 'none';
    for (const [table, all] of Object.entries({ machines: { ...machines, ...patterns }, standbys })) {
      for (const [key, { repository: wanted }] of Object.entries(all)) {
        if (wanted in repositories) continue;
        const message = `there is no repository "${wanted}"; known: ${known}`;
        context.addIssue({ code: 'custom', path: [table, key, 'repository'], message });
      }
    }
    const directories = new Map<string, string>();
    for (const [key, { dir }] of Object.entries(standbys)) {
      const place = path.resolve(dir);
      const other = directories.get(place);
      directories.set(place, key);
      if (other === undefined) continue;
      const message = `is the directory of standbys.${other}, too; give each one of its own`;
      context.addIssue({ code: 'custom', path: ['standbys', key, 'dir'], message });
    }
  });

export type Configuration = z.output<typeof configuration>;
export type PatternSettings = z.output<typeof pattern>;
/** A machine that is named, or one that a pattern matches. */
export type MachineSettings = z.output<typeof machine> & { readonly pattern?: string };
export type StandbySettings = z.output<typeof standby>;
export type RepositorySettings = z.output<typeof repository>;
export type DaemonSettings = z.output<typeof daemon>;

function isExpression(text: string): boolean {
  try {
    return Boolean(new RegExp(text, 'm'));
  } catch {
    return false;
  }
}
