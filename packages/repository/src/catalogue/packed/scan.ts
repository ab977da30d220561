import { listAfter, type CallOptions, type ObjectStat, type Store } from '@fitdoc/interface';
import { MACHINES_PREFIX, machineSegment, machinePrefix, parseCheckpointKey } from '../../layout.js';
import { keyOfName, type Coverage, type LeftOut } from './coverage.js';
import { splitKey, type Series } from './segment-key.js';

/** A listing of checkpoints' objects, without the parts that segments cover. */
export interface Scan {
  readonly listed: ObjectStat[];
  readonly leftOut: LeftOut[];
}

/** Lists a machine's objects, or every machine's. */
export async function scan(
  store: Store,
  machineId: string | undefined,
  coverage: Coverage,
  call: CallOptions,
): Promise<Scan> {
  const listed: ObjectStat[] = [];
  const leftOut: LeftOut[] = [];
  const prefix = machineId === undefined ? MACHINES_PREFIX : machinePrefix(machineId);
  let from: string | undefined = machineId === undefined ? '' : jumpAtStart(machineId, coverage, leftOut);
  while (from !== undefined) {
    const at: string = from;
    from = undefined;
    for await (const stat of listAfter(store, prefix, at, call)) {
      const split = splitKey(stat.key);
      if (!split || !parseCheckpointKey(stat.key)) continue;
      listed.push(stat);
      const to = coverage.jumpFrom(split.series, split.name);
      if (to === undefined) continue;
      leftOut.push({ series: split.series, from: split.name, to });
      from = keyOfName(split.series, to);
      break;
    }
  }
  return { listed, leftOut };
}

/** Nothing of a machine sorts before its captured checkpoints, so that their beginning need not be asked for. */
function jumpAtStart(machineId: string, coverage: Coverage, leftOut: LeftOut[]): string {
  const series: Series = { machine: machineSegment(machineId), name: 'checkpoints' };
  const to = coverage.jumpFromStart(series);
  if (to === undefined) return '';
  leftOut.push({ series, from: '', to });
  return keyOfName(series, to);
}
