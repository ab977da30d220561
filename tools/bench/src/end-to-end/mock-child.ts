import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';

/** What a child says of one increment; of the base it says nothing but that it is there. */
export interface MockIncrement {
  readonly timeMs: number;
  readonly pauseMs: number;
  readonly bytes: number;
  readonly dirtyPages: number;
  readonly changedWords: number;
  readonly captureMs: number;
  readonly diffMs: number;
}

/** Protects one mock machine: the arguments are its location and a directory; each message asks for an increment. */
async function main([location = '', directory = '']: readonly string[]): Promise<void> {
  const { hypervisor, rest } = await hypervisorFor(location);
  const engine = createEngine();
  const repository = await Repository.init(await openStore(directory, { create: true }));
  const protection = await engine.protect(await hypervisor.attach(rest), repository);
  await protection.checkpoint();
  process.send?.('ready');
  for await (const _ of requests()) {
    const { entry, cost } = await protection.checkpoint();
    const increment: MockIncrement = {
      timeMs: cost.captureMs + cost.commitMs,
      ...{ pauseMs: cost.pauseMs, bytes: entry.bytes, dirtyPages: cost.dirtyPages },
      ...{ changedWords: cost.changedWords, captureMs: cost.captureMs, diffMs: cost.diffMs },
    };
    process.send?.(increment);
  }
}

async function* requests(): AsyncGenerator<void> {
  for (;;) {
    await new Promise((resolve) => process.once('message', resolve));
    yield;
  }
}

process.once('disconnect', () => process.exit(0));
await main(process.argv.slice(2));
