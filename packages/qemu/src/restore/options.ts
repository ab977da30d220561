import { FitdocError } from '@fitdoc/interface';

/** Settings of a restore: the `config` of RestoreOptions. */
export interface RestoreConfig {
  /**
   * File made by `writeRamFile`, which the waiting QEMU maps as its main memory, share=off: main memory is
   * then not sent, and the guest runs almost at once, whatever its size.
   */
  readonly ramFile: string | undefined;
  /** Directory for the socket; QEMU's user must be able to enter it. Default: the system's for temporary files. */
  readonly socketDirectory: string | undefined;
  /**
   * Let the guest run at once and send its memory as it asks for it. Where that cannot be, `true` refuses with
   * MACHINE_INCOMPATIBLE, and `auto` loads all of the memory first, with a note. Default false.
   */
  readonly lazy: boolean | 'auto';
  /** Files that the checkpoint's disks were written to, by the disks' names: QEMU must have those open. */
  readonly disks: Readonly<Record<string, string>>;
}

interface Setting {
  readonly what: string;
  takes(value: unknown): boolean;
}

const PATH: Setting = { what: 'a path', takes: (value) => typeof value === 'string' && value !== '' };

const SETTINGS: Readonly<Record<string, Setting>> = {
  ramFile: PATH,
  socketDirectory: PATH,
  disks: {
    what: 'paths by names of disks',
    takes: (value) =>
      typeof value === 'object' && value !== null && Object.values(value).every((each) => PATH.takes(each)),
  },
  lazy: { what: 'true, false or auto', takes: (value) => typeof value === 'boolean' || value === 'auto' },
};

export function readRestoreConfig(
  given: Readonly<Record<string, unknown>> = {},
  scheme = 'kvm',
): RestoreConfig {
  for (const [name, value] of Object.entries(given)) {
    const wanted = SETTINGS[name];
    if (wanted !== undefined && (value === undefined || wanted.takes(value))) continue;
    throw new FitdocError(
      'CONFIG_INVALID',
      `The setting ${name} ${wanted === undefined ? `is none of a ${scheme}: restore` : `must be ${wanted.what}`}.`,
      {
        hint: `Settings of a restore to ${scheme}: are ${Object.keys(SETTINGS).join(', ')}.`,
      },
    );
  }
  const { ramFile, socketDirectory, lazy = false, disks = {} } = given as Partial<RestoreConfig>;
  return { ramFile, socketDirectory, lazy, disks };
}
