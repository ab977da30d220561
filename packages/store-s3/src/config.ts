import { FitdocError } from '@fitdoc/interface';

/** Settings of the S3 store; in a daemon's configuration they stand beside the location. */
export interface S3Config {
  /** Default: AWS_REGION, else `us-east-1`, which most other servers accept. */
  readonly region?: string;
  /** A JSON file `{ "accessKeyId": ..., "secretAccessKey": ... }`. Default: the SDK's own chain (AWS_* and so on). */
  readonly credentialsFile?: string;
  /** Milliseconds without a byte in either direction after which a request is given up. Default 60 000. */
  readonly timeoutMs?: number;
  /** Tries of one request, the first included. Default 5. */
  readonly attempts?: number;
  /** Bytes of a part of a large object. Default 8 MiB; least 5 MiB. */
  readonly partBytes?: number;
  /** Parts under way at a time. Default 4. */
  readonly parallelParts?: number;
  /**
   * `require` (default): refuse to write to a server that ignores If-None-Match. `weak`: on such a server look
   * first and put then; two writers of one key may then overwrite each other.
   */
  readonly conditionalPut?: 'require' | 'weak';
}

export type S3Settings = Required<Omit<S3Config, 'credentialsFile'>> & Pick<S3Config, 'credentialsFile'>;

type Rule = readonly [requirement: string, holds: (value: unknown) => boolean];

const text: Rule = ['a text that is not empty', (value) => typeof value === 'string' && value !== ''];
const between = (least: number, most: number): Rule => [
  `a whole number from ${least} to ${most}`,
  (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
];

const RULES: Readonly<Record<keyof S3Config, Rule>> = {
  region: text,
  credentialsFile: text,
  timeoutMs: between(100, 3_600_000),
  attempts: between(1, 100),
  // The least that servers take for a part, and the most.
  partBytes: between(5 * 2 ** 20, 512 * 2 ** 20),
  parallelParts: between(1, 64),
  conditionalPut: ['"require" or "weak"', (value) => value === 'require' || value === 'weak'],
};

/** Checks settings and fills in the defaults. CONFIG_INVALID, naming the setting but never its value. */
export function parseS3Config(config: Readonly<Record<string, unknown>> = {}): S3Settings {
  for (const [name, value] of Object.entries(config)) {
    const rule = Object.hasOwn(RULES, name) ? RULES[name as keyof S3Config] : undefined;
    if (!rule) throw invalid(`The S3 store has no setting ${name}.`);
    if (value !== undefined && !rule[1](value))
      throw invalid(`The setting ${name} of the S3 store is ${rule[0]}.`);
  }
  const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
  return {
    region: process.env['AWS_REGION'] ?? 'us-east-1',
    timeoutMs: 60_000,
    attempts: 5,
    partBytes: 8 * 2 ** 20,
    parallelParts: 4,
    conditionalPut: 'require',
    ...given,
  };
}

export function invalid(message: string): FitdocError {
  return new FitdocError('CONFIG_INVALID', message, {
    hint: 'The settings are listed in the README of @fitdoc/store-s3.',
  });
}
