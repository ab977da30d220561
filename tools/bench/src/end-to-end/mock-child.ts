import { readFile } from 'node:fs/promises';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine } from '@fitdoc/engine';
import { mockMachine } from '@fitdoc/hypervisor-mock';
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
  /** Bytes of memory of this process that are not the mock guest's own, and those of the guest. */
  readonly ownBytes: number;
  readonly guestBytes: number;
}

/**
 * Protects one mock machine: the arguments are its location, a directory and perhaps the bytes that its image may take;
 * each message asks for an increment.
 */
async function main([location = '', directory = '', memory]: readonly string[]): Promise<void> {
  const { hypervisor, rest } = await hypervisorFor(location);
  const engine = createEngine(memory === undefined ? {} : { memoryBudget: Number(memory) });
  const repository = await Repository.init(await openStore(directory, { create: true }));
  const machine = await hypervisor.attach(rest);
  const { memory: guest } = await mockMachine(rest.split('?')[0] ?? '');
  const protection = await engine.protect(machine, repository);
  await protection.checkpoint();
  process.send?.('ready');
  for await (const _ of requests()) {
    const { entry, cost } = await protection.checkpoint();
    const increment: MockIncrement = {
      timeMs: cost.captureMs + cost.commitMs,
      ...{ pauseMs: cost.pauseMs, bytes: entry.bytes, dirtyPages: cost.dirtyPages },
      ...{ changedWords: cost.changedWords, captureMs: cost.captureMs, diffMs: cost.diffMs },
      ...(await memoryOf(guest.residentBytes)),
    };
    process.send?.(increment);
  }
}

/** Anonymous memory: what is cached of files the system takes back when it likes. */
async function memoryOf(guestBytes: number): Promise<{ ownBytes: number; guestBytes: number }> {
  const status = await readFile('/proc/self/status', 'utf8');
  const anonymous = Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
  return { ownBytes: anonymous - guestBytes, guestBytes };
}

async function* requests(): AsyncGenerator<void> {
  for (;;) {
    await new Promise((resolve) => process.once('message', resolve));
    yield;
  }
}

process.once('disconnect', () => process.exit(0));
await main(process.argv.slice(2));
