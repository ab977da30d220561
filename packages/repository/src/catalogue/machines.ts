import { isIntact, type CheckpointEntry, type ListedEntry } from './entry.js';
import { Lineage } from './lineage.js';
import { latest } from './resolve.js';

/** A machine, as its checkpoints tell. */
export interface MachineEntry {
  readonly id: string;
  /** From the latest checkpoint; the id where none can be read. */
  readonly name: string;
  /** Restore points. */
  readonly checkpoints: number;
  /** Objects that can be read; several may show one state. */
  readonly objects: number;
  readonly damaged: number;
  /** Of all its objects together. */
  readonly bytes: number;
  readonly latest: CheckpointEntry | undefined;
}

/** Expects all objects. */
export function machinesOf(entries: readonly ListedEntry[]): MachineEntry[] {
  const byMachine = new Map<string, ListedEntry[]>();
  for (const entry of entries) {
    const known = byMachine.get(entry.machineId);
    if (known) known.push(entry);
    else byMachine.set(entry.machineId, [entry]);
  }
  return [...byMachine].map(([id, listed]) => {
    const intact = listed.filter(isIntact);
    const newest = latest(intact);
    return {
      id,
      name: newest?.machineName ?? id,
      checkpoints: new Lineage(intact).states().length,
      objects: intact.length,
      damaged: listed.length - intact.length,
      bytes: listed.reduce((sum, entry) => sum + entry.bytes, 0),
      latest: newest,
    };
  });
}
