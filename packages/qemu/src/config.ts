import { FitdocError } from '@fitdoc/interface';

/** Settings of an attachment: the `config` of AttachOptions. */
export interface QemuConfig {
  /**
   * `colo`: increments by QEMU's COLO. `precopy`: a full migration stream a capture. `auto` (default): COLO,
   * or precopy when this QEMU refuses it.
   */
  readonly mode: 'auto' | 'colo' | 'precopy';
  /** Longest last round of a full capture, milliseconds, in which the guest stands. Default 100. */
  readonly downtimeLimitMs: number;
  /**
   * Bytes of a checkpoint that the kernel holds for us (of QEMU's memory cgroup) so that QEMU waits for nobody while
   * the guest stands. Default 64 MiB, or what the kernel grants.
   */
  readonly bufferBytes: number;
  /** How long QEMU may stay silent where it owes an answer, milliseconds. Default 30,000. */
  readonly timeoutMs: number;
  /** Directory for our socket, where QEMU cannot be given a descriptor; its user must be able to enter it. Default: the system's for temporary files. */
  readonly socketDirectory: string | undefined;
  /** Directory for what a guest overwrites on its disks before it is read; as large as that at most. Default /var/tmp. */
  readonly diskDirectory: string;
  /**
   * Leave a dirty bitmap a disk in QEMU when the attachment ends, so that the next goes on with what was written
   * since. Default true.
   */
  readonly keepBitmaps: boolean;
  /** Run the guard process that resumes the guest if this process dies within a pause. Default true. */
  readonly guard: boolean;
}

const DEFAULTS: QemuConfig = {
  mode: 'auto',
  downtimeLimitMs: 100,
  bufferBytes: 64 << 20,
  timeoutMs: 30_000,
  socketDirectory: undefined,
  diskDirectory: '/var/tmp',
  keepBitmaps: true,
  guard: true,
};

const CHECKS: Readonly<Record<keyof QemuConfig, (value: unknown) => boolean>> = {
  mode: (value) => value === 'auto' || value === 'colo' || value === 'precopy',
  downtimeLimitMs: isPositive,
  bufferBytes: (value) => Number.isInteger(value) && isPositive(value) && Number(value) < 2 ** 30,
  timeoutMs: isPositive,
  socketDirectory: (value) => typeof value === 'string' && value !== '',
  diskDirectory: (value) => typeof value === 'string' && value.startsWith('/'),
  keepBitmaps: (value) => typeof value === 'boolean',
  guard: (value) => typeof value === 'boolean',
};

/** Reads the adapter's settings; CONFIG_INVALID names one that is unknown or makes no sense. */
export function readConfig(given: Readonly<Record<string, unknown>> = {}, scheme = 'kvm'): QemuConfig {
  for (const [name, value] of Object.entries(given)) {
    const check = CHECKS[name as keyof QemuConfig] as ((value: unknown) => boolean) | undefined;
    if (check === undefined) throw invalid(scheme, name, `is no setting of ${scheme}:`);
    if (value !== undefined && !check(value))
      throw invalid(scheme, name, `cannot be ${JSON.stringify(value)}`);
  }
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { ...DEFAULTS, ...(set as Partial<QemuConfig>) };
}

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}

function invalid(scheme: string, name: string, why: string): FitdocError {
  return new FitdocError('CONFIG_INVALID', `The setting ${name} ${why}.`, {
    hint: `Settings of ${scheme}: are ${Object.keys(CHECKS).join(', ')}.`,
  });
}
