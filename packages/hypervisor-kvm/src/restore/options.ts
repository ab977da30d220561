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
}

export function readRestoreConfig(given: Readonly<Record<string, unknown>> = {}): RestoreConfig {
  for (const [name, value] of Object.entries(given)) {
    const known = name === 'ramFile' || name === 'socketDirectory';
    if (known && (value === undefined || (typeof value === 'string' && value !== ''))) continue;
    throw new FitdocError(
      'CONFIG_INVALID',
      `The setting ${name} ${known ? 'must be a path' : 'is none of a kvm: restore'}.`,
      {
        hint: 'Settings of a restore to kvm: are ramFile, socketDirectory.',
      },
    );
  }
  const { ramFile, socketDirectory } = given as Partial<RestoreConfig>;
  return { ramFile, socketDirectory };
}
