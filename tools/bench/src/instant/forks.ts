import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine, fork, MemoryFiles, type Engine, type Forked } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';
import { waitForHeartbeats } from '../../../lab/src/qemu/index.js';
import type { BenchContext } from '../context.js';
import type { Row } from '../section.js';
import { median } from '../timing.js';
import { answers, beatingGuest, firstBeat, protectBeating } from './beating.js';
import { privateMemory } from './private-memory.js';

const MEBIBYTES = 192;
const GUEST_BYTES = MEBIBYTES * 2 ** 20;
const COUNT = 10;

/** Milliseconds until so many QEMUs of the same kind, which nothing was loaded into, each ... */
interface Empty {
  /** have a QMP socket, which comes before the machine behind it. */
  readonly openMs: number;
  /** have answered a command at it. */
  readonly answerMs: number;
}

interface Round extends Empty {
  readonly forksMs: number;
  /** Of a fork, the middle of the ten. */
  readonly privateBytes: number;
  readonly writtenBytes: number;
  /** Of a QEMU whose guest beats in the common way, without the guest's memory. */
  readonly ownBytes: number;
}

/** Ten machines from one checkpoint against as many empty QEMUs, in turns. */
export async function forkRows(context: BenchContext): Promise<Row[]> {
  const directory = await context.temporaryDirectory();
  const location = path.join(directory, 'repository');
  context.log('forks: taking a base and its increments');
  await protectBeating(MEBIBYTES, location);
  const engine = createEngine();
  const store = await openStore(location);
  const repository = await Repository.open(store);
  const forks = (): Promise<Forked> => forksOf(engine, repository, directory);
  try {
    // Makes the file that all map, once.
    await ended(await forks());
    const rounds: Round[] = [];
    for (let round = 0; round < (context.quick ? 2 : 5); round++) {
      context.log(`forks: round ${round + 1}`);
      const emptyFirst = round % 2 === 0;
      const before = emptyFirst ? await startEmpty() : undefined;
      const forked = await timedForks(forks);
      const empty = before ?? (await startEmpty());
      rounds.push({ ...empty, ...forked, ownBytes: await ownMemory() });
    }
    return rowsOf(rounds);
  } finally {
    await engine.close();
    await repository.close();
    await store.close();
  }
}

async function forksOf(engine: Engine, repository: Repository, directory: string): Promise<Forked> {
  const entry = await repository.resolve('latest');
  const { hypervisor } = await hypervisorFor('kvm:');
  const memory = new MemoryFiles({ directory: path.join(directory, 'memory') });
  const place = await mkdtemp(path.join(directory, 'forks-'));
  return fork(engine, { repository, entry, hypervisor, count: COUNT, memory, directory: place });
}

async function timedForks(forks: () => Promise<Forked>) {
  const begun = performance.now();
  const made = await forks();
  try {
    const beats = await Promise.all(made.forks.map(({ launched }) => firstBeat(launched.consoles[0]!)));
    // As many beats as the guest of `ownMemory` has.
    for (const { launched } of made.forks)
      await waitForHeartbeats(launched.consoles[0]!, (found) => found.length >= 4);
    const memory = await Promise.all(
      made.forks.map(({ launched }) => privateMemory(launched.pid, GUEST_BYTES)),
    );
    return {
      forksMs: Math.max(...beats) - begun,
      privateBytes: median(memory.map(({ all }) => all)),
      writtenBytes: median(memory.map(({ guest }) => guest)),
    };
  } finally {
    await ended(made);
  }
}

async function ended({ forks }: Forked): Promise<void> {
  await Promise.all(forks.map(({ launched }) => launched.end()));
}

async function startEmpty(): Promise<Empty> {
  const begun = performance.now();
  const all = await Promise.all(
    Array.from({ length: COUNT }, () => beatingGuest(MEBIBYTES, { incoming: true })),
  );
  const openMs = performance.now() - begun;
  await Promise.all(all.map(({ qmpPath }) => answers(qmpPath)));
  const answerMs = performance.now() - begun;
  await Promise.all(all.map((each) => each.stop()));
  return { openMs, answerMs };
}

/** Bytes that a QEMU has for itself while its guest beats that nobody has ever captured. */
async function ownMemory(): Promise<number> {
  const guest = await beatingGuest(MEBIBYTES);
  try {
    await waitForHeartbeats(guest.serialPath, (found) => found.length >= 4);
    await sleep(100);
    const { all, guest: memory } = await privateMemory(guest.pid, GUEST_BYTES);
    return all - memory;
  } finally {
    await guest.stop();
  }
}

function rowsOf(rounds: readonly Round[]): Row[] {
  const middle = (pick: (round: Round) => number): number => median(rounds.map(pick));
  const what = `${COUNT} forks of KVM ${MEBIBYTES} MiB`;
  const beat = { name: `${what}: all beat`, unit: 'ms' };
  const mebibytes = (pick: (round: Round) => number): number => middle(pick) / 2 ** 20;
  const memory = `${what}: private memory of one`;
  return [
    { ...beat, variant: 'empty QEMUs, sockets there', value: middle(({ openMs }) => openMs) },
    { ...beat, variant: 'empty QEMUs, answering', value: middle(({ answerMs }) => answerMs) },
    {
      ...{ ...beat, variant: 'forks', value: middle(({ forksMs }) => forksMs) },
      ...{ ratio: middle(({ forksMs, openMs }) => forksMs / openMs), ratioTo: 'empty QEMUs, sockets there' },
      target: { of: 'ratio', atMost: 1.5 },
    },
    {
      ...{ ...beat, variant: 'forks', value: middle(({ forksMs }) => forksMs) },
      ...{ ratio: middle(({ forksMs, answerMs }) => forksMs / answerMs), ratioTo: 'empty QEMUs, answering' },
    },
    { name: memory, variant: "QEMU's own", value: mebibytes(({ ownBytes }) => ownBytes), unit: 'MiB' },
    {
      name: memory,
      variant: 'guest memory written',
      value: mebibytes((round) => round.writtenBytes),
      unit: 'MiB',
    },
    {
      ...{ name: memory, variant: 'fork', value: mebibytes((round) => round.privateBytes), unit: 'MiB' },
      ratio: middle(({ privateBytes, ownBytes, writtenBytes }) => privateBytes / (ownBytes + writtenBytes)),
      ...{ ratioTo: "QEMU's own and what it wrote", target: { of: 'ratio', atMost: 1.01 } },
    },
  ];
}
