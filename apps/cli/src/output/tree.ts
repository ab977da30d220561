import type { MachineOrigin } from '@fitdoc/interface';
import {
  isIntact,
  stateOf,
  type CheckpointEntry,
  type ListedEntry,
  type Repository,
} from '@fitdoc/repository';
import { count, time } from './units.js';

/** A machine's checkpoints as a whole, and whose checkpoint it began as. */
export interface TreeMachine {
  readonly id: string;
  readonly name: string;
  readonly checkpoints: readonly CheckpointEntry[];
  readonly origin?: MachineOrigin;
}

/** The machines of a listing, each with its origin, which its newest checkpoint tells. */
export async function machinesOf(
  repository: Repository,
  listed: readonly ListedEntry[],
  signal: AbortSignal,
): Promise<TreeMachine[]> {
  const by = new Map<string, CheckpointEntry[]>();
  for (const entry of listed.filter(isIntact)) {
    const checkpoints = by.get(entry.machineId);
    if (checkpoints) checkpoints.push(entry);
    else by.set(entry.machineId, [entry]);
  }
  const machines: TreeMachine[] = [];
  for (const [id, checkpoints] of by) {
    const newest = checkpoints.at(-1)!;
    const { header } = await repository.openCheckpoint(newest, { signal });
    const { origin } = header.machine;
    machines.push({ id, name: newest.machineName, checkpoints, ...(origin && { origin }) });
  }
  return machines;
}

/** Machines below the one whose checkpoint they began as; those whose origin is elsewhere stand for themselves. */
export function treeLines(machines: readonly TreeMachine[]): string[] {
  const known = new Set(machines.map(({ id }) => id));
  const parentOf = ({ id, origin }: TreeMachine): string | undefined =>
    origin && known.has(origin.machine) && origin.machine !== id ? origin.machine : undefined;
  const below = (parent: TreeMachine | undefined, indent: string): string[] =>
    machines
      .filter((machine) => parentOf(machine) === parent?.id)
      .flatMap((machine, index, all) => {
        const last = index === all.length - 1;
        const branch = parent ? `${indent}${last ? '└─ ' : '├─ '}` : '';
        const deeper = parent ? `${indent}${last ? '   ' : '│  '}` : '';
        return [`${branch}${lineOf(machine, parent)}`, ...below(machine, deeper)];
      });
  return below(undefined, '');
}

function lineOf({ id, name, checkpoints, origin }: TreeMachine, parent: TreeMachine | undefined): string {
  const first = checkpoints[0]!;
  const last = checkpoints.at(-1)!;
  const named = name === id ? id : `${id} (${name})`;
  const began = origin && parent?.checkpoints.find((entry) => stateOf(entry) === origin.state);
  const from = !origin
    ? ''
    : `, from ${began ? `sequence ${began.sequence}` : `${origin.machine}, a state that is gone`}`;
  return `${named}: ${count(checkpoints.length)} checkpoints, ${time(first.capturedAtMs)} to ${time(last.capturedAtMs)}${from}`;
}
