import { FitdocError } from '@fitdoc/interface';

/** Settings of a restore to `libvirt:`, the `config` of RestoreOptions. */
export interface LibvirtRestoreConfig {
  /** Leave the guest paused. Default: a clone yes, the domain itself no. */
  readonly paused: boolean | undefined;
  /** A clone's UUID. Default: a new one. */
  readonly uuid: string | undefined;
  /** Other files for disks, by their target (`disk-vda`). */
  readonly disks: ReadonlyMap<string, string>;
  /** Another file of UEFI's variables. */
  readonly nvram: string | undefined;
  /** Folder for the save image while libvirt reads it; libvirtd must see it. Default: the system's for temporary files. */
  readonly imageDirectory: string | undefined;
}

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const isPath = (value: unknown): boolean => typeof value === 'string' && value.startsWith('/');

const SETTINGS: Readonly<Record<string, readonly [what: string, takes: (value: unknown) => boolean]>> = {
  paused: ['true or false', (value) => typeof value === 'boolean'],
  uuid: ['a UUID', (value) => typeof value === 'string' && UUID.test(value)],
  nvram: ['an absolute path', isPath],
  imageDirectory: ['an absolute path', isPath],
};

/** CONFIG_INVALID. */
export function readRestoreConfig(given: Readonly<Record<string, unknown>> = {}): LibvirtRestoreConfig {
  const disks = new Map<string, string>();
  for (const [name, value] of Object.entries(given)) {
    const disk = /^disk-(.+)$/.exec(name)?.[1];
    const [what, takes] = disk === undefined ? (SETTINGS[name] ?? []) : ['an absolute path', isPath];
    if (takes === undefined || !takes(value))
      throw new FitdocError(
        'CONFIG_INVALID',
        `The setting ${name} ${what === undefined ? 'is none of a restore to libvirt:' : `must be ${what}`}.`,
        {
          hint: `Settings of a restore to libvirt: are ${Object.keys(SETTINGS).join(', ')}, and disk-TARGET for each disk.`,
        },
      );
    if (disk !== undefined) disks.set(disk, value as string);
  }
  const { paused, uuid, nvram, imageDirectory } = given as Partial<LibvirtRestoreConfig>;
  return { paused, uuid, nvram, imageDirectory, disks };
}
