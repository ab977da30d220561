import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine, type Engine } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';
import { DrainedColo } from './drain.js';
import { fullSave, type Save } from './full-save.js';
import type { Monitor } from './monitor.js';
import { TeeMachine } from './tee.js';

export interface Increment {
  readonly timeMs: number;
  readonly pauseMs: number;
  readonly bytes: number;
  readonly dirtyPages: number;
  readonly unchangedPages: number;
  readonly changedWords: number;
  readonly captureMs: number;
  readonly diffMs: number;
  readonly plain: { readonly timeMs: number; readonly bytes: number };
}

export interface Samples {
  readonly saves: Save[];
  readonly increments: Increment[];
  /** Pauses with the receiver that only drains, and what QEMU sent. */
  readonly drained: { readonly pauseMs: number; readonly bytesBefore: number }[];
}

export interface Plan {
  readonly rounds: number;
  readonly saves: number;
  readonly increments: number;
  /** Milliseconds from the start of one checkpoint to that of the next. */
  readonly everyMs: number;
  readonly config: Readonly<Record<string, unknown>>;
}

export interface QemuUnderTest {
  readonly qmpPath: string;
  readonly monitor: Monitor;
  readonly directory: string;
  log(message: string): void;
}

/** Saves and checkpoints one guest in all ways, in turns. */
export async function measure(guest: QemuUnderTest, plan: Plan): Promise<Samples> {
  const samples: Samples = { saves: [], increments: [], drained: [] };
  const engine = createEngine();
  const store = await openStore(path.join(guest.directory, 'repository'), { create: true });
  const repository = await Repository.init(store);
  try {
    for (let round = 0; round < plan.rounds; round++) {
      guest.log(`round ${round + 1} of ${plan.rounds}`);
      for (let i = 0; i < plan.saves; i++)
        samples.saves.push(await fullSave(guest.monitor, path.join(guest.directory, 'save')));
      const turns = [
        async () => samples.increments.push(...(await ours(guest, plan, engine, repository))),
        async () => samples.drained.push(...(await drained(guest, plan))),
      ];
      for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn();
    }
    return samples;
  } finally {
    await engine.close();
    await repository.close();
    await store.close();
  }
}

async function ours(
  guest: QemuUnderTest,
  plan: Plan,
  engine: Engine,
  repository: Repository,
): Promise<Increment[]> {
  const { hypervisor, rest } = await hypervisorFor(`kvm:${guest.qmpPath}`);
  const attached = await hypervisor.attach(rest, { config: plan.config });
  guest.log(`limits of this attachment: ${attached.supports.limits.join(' ') || 'none'}`);
  const machine = new TeeMachine(attached, path.join(guest.directory, 'plain'));
  try {
    const protection = await engine.protect(machine, repository);
    await protection.checkpoint();
    const taken: Increment[] = [];
    await paced(plan, async () => {
      const { entry, cost } = await protection.checkpoint();
      const plain = machine.last;
      if (!plain) throw new Error('a capture was full where an increment was due');
      if (plain.bytes !== cost.dirtyPages * 4096)
        throw new Error(`${plain.bytes} bytes of plain pages of a capture of ${cost.dirtyPages} pages`);
      taken.push({
        timeMs: plain.captureMs + cost.commitMs,
        plain: { timeMs: plain.captureMs + plain.writeMs, bytes: plain.bytes },
        ...{ pauseMs: cost.pauseMs, bytes: entry.bytes, dirtyPages: cost.dirtyPages },
        ...{ unchangedPages: cost.unchangedPages, changedWords: cost.changedWords },
        ...{ captureMs: plain.captureMs, diffMs: cost.diffMs },
      });
    });
    await protection.end();
    return taken;
  } finally {
    await attached.detach();
  }
}

async function drained(guest: QemuUnderTest, plan: Plan): Promise<Samples['drained']> {
  const colo = await DrainedColo.start(guest.monitor, guest.directory);
  const taken: Samples['drained'] = [];
  try {
    await paced(plan, async () => void taken.push(await colo.checkpoint()));
    // What QEMU sent is known one checkpoint later.
    return taken;
  } finally {
    await colo.end();
  }
}

/** Does the work at fixed times, so that the guest runs equally long between two checkpoints of any way. */
async function paced({ increments, everyMs }: Plan, work: () => Promise<void>): Promise<void> {
  const start = performance.now();
  for (let i = 1; i <= increments; i++) {
    await sleep(Math.max(10, start + i * everyMs - performance.now()));
    await work();
  }
}
