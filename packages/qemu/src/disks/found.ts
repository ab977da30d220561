import type { QmpClient } from '../qmp/client.js';

/** A writable disk of a guest, as QEMU names its parts. */
export interface FoundDisk {
  /** As in `MachineInfo.disks`. */
  readonly name: string;
  /** The node that holds its content. */
  readonly node: string;
  /** The front end's path, whose `drive` may be set to another node. */
  readonly device: string;
  readonly sizeBytes: number;
  /** What backs it, as QEMU names it. */
  readonly file: string;
}

export interface BlockDevice {
  readonly device: string;
  readonly qdev?: string;
  readonly inserted?: {
    readonly file: string;
    readonly ro: boolean;
    readonly drv: string;
    readonly 'node-name'?: string;
    readonly image?: { readonly 'virtual-size'?: number };
  };
}

/** The name of the disk that is the `index`-th of QEMU's drives. */
export function diskName({ device, qdev = '' }: BlockDevice, index: number): string {
  return device || qdev || `disk${index}`;
}

/** Where a front end is in QEMU's tree of objects; `query-block` tells an id, or a path that may go one too deep. */
export function devicePath(qdev: string): string {
  const path = qdev.startsWith('/') ? qdev : `/machine/peripheral/${qdev}`;
  return path.replace(/\/virtio-backend$/, '');
}

/** The disks that the guest can write to now, but those named in `leftOut`, and flash, which is memory. */
export async function findDisks(
  qmp: QmpClient,
  leftOut: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<FoundDisk[]> {
  const devices = await qmp.execute<readonly BlockDevice[]>('query-block', {}, { signal });
  return devices.flatMap((block, index) => {
    const { qdev, inserted } = block;
    const name = diskName(block, index);
    const node = inserted?.['node-name'];
    const sizeBytes = inserted?.image?.['virtual-size'];
    if (inserted === undefined || inserted.ro || qdev === undefined || leftOut.has(name)) return [];
    if (node === undefined || sizeBytes === undefined || isFlash(qdev)) return [];
    return [{ name, node, device: devicePath(qdev), sizeBytes, file: inserted.file }];
  });
}

export function isFlash(qdev: string): boolean {
  return /^\/machine\/[^/]*\.flash\d+$/.test(qdev);
}
