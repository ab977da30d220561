import type { DiskInfo } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';

interface BlockDevice {
  readonly device: string;
  readonly qdev?: string;
  readonly inserted?: {
    readonly file: string;
    readonly ro: boolean;
    readonly drv: string;
    readonly image?: { readonly 'virtual-size'?: number };
  };
}

/** The disks that are plugged into a machine; an empty drive is none. */
export async function readDisks(qmp: QmpClient, signal?: AbortSignal): Promise<DiskInfo[]> {
  const devices = await qmp.execute<readonly BlockDevice[]>('query-block', {}, { signal });
  return devices.flatMap(({ device, qdev, inserted }, index) => {
    if (inserted === undefined) return [];
    const size = inserted.image?.['virtual-size'];
    return {
      name: device || qdev || `disk${index}`,
      writable: !inserted.ro,
      source: inserted.file,
      format: inserted.drv,
      ...(size === undefined ? {} : { sizeBytes: size }),
    };
  });
}
