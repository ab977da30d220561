import { hypervisor, machineHash } from '@fitdoc/hypervisor-mock';
import type { Machine, Store } from '@fitdoc/interface';
import { Repository } from '@fitdoc/repository';
import { MemoryStore } from '@fitdoc/store-memory';
import { createEngine, restore, type Engine, type Protection } from '@fitdoc/engine';

let names = 0;

/** A name for a mock machine that no other test uses. */
export function machineName(): string {
  names++;
  return `test-${process.pid}-${names}`;
}

export interface Setup {
  readonly name: string;
  readonly engine: Engine;
  readonly store: Store;
  readonly repository: Repository;
  readonly machine: Machine;
  /** The guest's memory and devices as they are now. */
  readonly hash: () => Promise<string>;
  /** What `checkpoint` restores to, as a hash. */
  readonly restored: (checkpoint: string) => Promise<string>;
  readonly close: () => Promise<void>;
}

export async function setUp(
  query = 'memory=16M&workload=kv&seed=3',
  store: Store = new MemoryStore(),
): Promise<Setup> {
  const name = machineName();
  const engine = createEngine({ workers: 2 });
  const repository = await Repository.init(store);
  const machine = await hypervisor.attach(`${name}?${query}`);
  return {
    name,
    engine,
    store,
    repository,
    machine,
    hash: () => machineHash(name),
    restored: async (checkpoint) => {
      const target = machineName();
      const entry = await repository.resolve(checkpoint);
      await restore(engine, { repository, entry, hypervisor, location: target });
      return machineHash(target);
    },
    close: async () => {
      await machine.detach();
      await engine.close();
      await repository.close();
    },
  };
}

/** Takes `count` checkpoints and notes, for each, its id and the hash of what it must restore to. */
export async function takeMany(
  protection: Protection,
  count: number,
  hash: () => Promise<string>,
): Promise<{ id: string; hash: string }[]> {
  const taken: { id: string; hash: string }[] = [];
  for (let i = 0; i < count; i++) {
    const { entry } = await protection.checkpoint();
    taken.push({ id: entry.id, hash: await hash() });
  }
  return taken;
}
