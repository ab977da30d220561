import type { CallOptions } from '@fitdoc/interface';
import type { Catalogue } from './catalogue.js';
import type { PackReport } from './packed/packer.js';

export interface MaintainOptions extends CallOptions {
  /** Default: all. */
  readonly machine?: string;
  /** Hold all segments against the objects. Default false. */
  readonly audit?: boolean;
}

/** See Repository.maintain. What was done for all machines together. */
export async function maintain(
  catalogue: Catalogue,
  { machine, audit = false, signal }: MaintainOptions,
): Promise<PackReport> {
  const call = signal ? { signal } : {};
  const machines =
    machine === undefined
      ? new Set((await catalogue.list(call)).map(({ machineId }) => machineId))
      : [machine];
  const total = { written: 0, deleted: 0, stale: 0, missed: 0 };
  for (const each of machines) {
    const report = await catalogue.pack(each, { ...call, audit });
    for (const name of ['written', 'deleted', 'stale', 'missed'] as const) total[name] += report[name];
  }
  return total;
}
