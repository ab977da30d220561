import type { DiskInfo } from '@fitdoc/interface';
import { diskName, type BlockDevice } from '../disks/found.js';
import type { QmpClient } from '../qmp/client.js';

/** Flash memory whose contents are a RAM block, and so in every checkpoint: firmware, and UEFI's variables. */
export interface Flash {
  readonly name: string;
  /** The RAM block. */
  readonly region: string;
  readonly writable: boolean;
  /** The file behind it, which QEMU reads when it starts, and writes what the guest writes. */
  readonly source: string;
}

export interface Drives {
  readonly disks: readonly DiskInfo[];
  readonly flash: readonly Flash[];
}

/** What is plugged into a machine's drives; an empty drive is nothing. */
export async function readDrives(qmp: QmpClient, signal?: AbortSignal): Promise<Drives> {
  const devices = await qmp.execute<readonly BlockDevice[]>('query-block', {}, { signal });
  const disks: DiskInfo[] = [];
  const flash: Flash[] = [];
  devices.forEach((block, index) => {
    const { device, qdev = '', inserted } = block;
    if (inserted === undefined) return;
    const { file: source, ro, drv: format, image } = inserted;
    const region = /^\/machine\/([^/]*\.flash\d+)$/.exec(qdev)?.[1];
    const name = diskName(block, index);
    if (region !== undefined) flash.push({ name: device || region, region, writable: !ro, source });
    else {
      const size = image?.['virtual-size'];
      disks.push({
        name,
        writable: !ro,
        source,
        format,
        ...(size === undefined ? {} : { sizeBytes: size }),
      });
    }
  });
  return { disks, flash };
}
