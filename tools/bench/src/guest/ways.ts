import path from 'node:path';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';
import { DrainedColo } from '../end-to-end/drain.js';
import type { Monitor } from '../end-to-end/monitor.js';

export interface Subject {
  readonly qmpPath: string;
  readonly monitor: Monitor;
  /** Settings of the adapter. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Empty, and of this turn only. */
  readonly directory: () => Promise<string>;
}

/** Checkpoints that are being taken of a guest. */
export interface Taking {
  checkpoint(): Promise<void>;
  end(): Promise<void>;
}

/** By fitdoc, durably, as a daemon does; the first, of all memory, is taken. */
export async function byFitdoc({ qmpPath, config, directory }: Subject): Promise<Taking> {
  const engine = createEngine();
  const store = await openStore(path.join(await directory(), 'repository'), { create: true });
  const repository = await Repository.init(store);
  const { hypervisor, rest } = await hypervisorFor(`kvm:${qmpPath}`);
  const machine = await hypervisor.attach(rest, { config });
  const protection = await engine.protect(machine, repository);
  await protection.checkpoint();
  return {
    checkpoint: async () => void (await protection.checkpoint()),
    async end() {
      await protection.end();
      await machine.detach();
      await engine.close();
      await repository.close();
      await store.close();
    },
  };
}

/** By QEMU's COLO, to a receiver that throws away what it gets. */
export async function byDraining({ monitor, directory }: Subject): Promise<Taking> {
  const colo = await DrainedColo.start(monitor, await directory());
  return { checkpoint: async () => void (await colo.checkpoint()), end: () => colo.end() };
}
