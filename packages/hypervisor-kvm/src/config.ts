import { FitdocError } from '@fitdoc/interface';

/** Settings of an attachment: the `config` of AttachOptions. */
export interface KvmConfig {
  /**
   * `colo`: increments by QEMU's COLO. `precopy`: a full migration stream a capture. `auto` (default): COLO,
   * or precopy when this QEMU was built without.
   */
  readonly mode: 'auto' | 'colo' | 'precopy';
  /** Longest last round of a full capture, milliseconds, in which the guest stands. Default 100. */
  readonly downtimeLimitMs: number;
  /** Dirty bytes that are drained in the pause before parsing starts. Default 1 GiB. */
  readonly drainBytes: number;
  /** How long QEMU may stay silent where it owes an answer, milliseconds. Default 30,000. */
  readonly timeoutMs: number;
  /** Directory for our socket; QEMU's user must be able to enter it. Default: the system's for temporary files. */
  readonly socketDirectory: string | undefined;
  /** Run the guard process that resumes the guest if this process dies within a pause. Default true. */
  readonly guard: boolean;
}

const DEFAULTS: KvmConfig = {
  mode: 'auto',
  downtimeLimitMs: 100,
  drainBytes: 1 << 30,
  timeoutMs: 30_000,
  socketDirectory: undefined,
  guard: true,
};

const CHECKS: Readonly<Record<keyof KvmConfig, (value: unknown) => boolean>> = {
  mode: (value) => value === 'auto' || value === 'colo' || value === 'precopy',
  downtimeLimitMs: isPositive,
  drainBytes: isPositive,
  timeoutMs: isPositive,
  socketDirectory: (value) => typeof value === 'string' && value !== '',
  guard: (value) => typeof value === 'boolean',
};

/** Reads the adapter's settings; CONFIG_INVALID names one that is unknown or makes no sense. */
export function readConfig(given: Readonly<Record<string, unknown>> = {}): KvmConfig {
  for (const [name, value] of Object.entries(given)) {
    const check = CHECKS[name as keyof KvmConfig] as ((value: unknown) => boolean) | undefined;
    if (check === undefined) throw invalid(name, `is no setting of kvm:`);
    if (value !== undefined && !check(value)) throw invalid(name, `cannot be ${JSON.stringify(value)}`);
  }
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { ...DEFAULTS, ...(set as Partial<KvmConfig>) };
}

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}

function invalid(name: string, why: string): FitdocError {
  return new FitdocError('CONFIG_INVALID', `The setting ${name} ${why}.`, {
    hint: `Settings of kvm: are ${Object.keys(CHECKS).join(', ')}.`,
  });
}
