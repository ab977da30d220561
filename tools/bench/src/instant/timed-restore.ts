import { readFileSync, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { hypervisorFor } from '@fitdoc/adapters';
import { createEngine, restore } from '@fitdoc/engine';
import type { Hypervisor, LazyReport, PageRun } from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { parseHeartbeats, waitForHeartbeats, type RunningGuest } from '../../../lab/src/qemu/index.js';
import { Monitor } from '../end-to-end/monitor.js';
import { startTwin, type Subject } from './subject.js';

/** A checkpoint, in a store that may be slow. */
export interface Held {
  readonly repository: Repository;
  readonly entry: CheckpointEntry;
}

export interface Way {
  readonly name: string;
  readonly lazy: boolean;
  readonly verifyFirst?: boolean;
}

/** Milliseconds from the call of `restore`. */
export interface Times {
  /** Until the chain was open, and the hypervisor's turn. */
  readonly openedMs: number;
  readonly firstInstructionMs: number;
  readonly firstBeatMs: number;
  /** Until all memory was there, and the call returned. */
  readonly sentMs: number;
  readonly lazy?: LazyReport;
}

/** Restores a subject into a QEMU that waits already, and throws where what runs then is not right. */
export async function timedRestore(
  subject: Subject,
  held: Held,
  way: Way,
  first: readonly PageRun[],
): Promise<Times> {
  const twin = await startTwin(subject);
  const monitor = await Monitor.connect(path.join(twin.directory, 'monitor.sock'));
  const beat = firstBeat(twin.serialPath);
  try {
    const times = await timed(twin, monitor, beat.at, held, way, first);
    await prove(subject, twin, monitor);
    return times;
  } finally {
    beat.close();
    monitor.close();
    await twin.stop();
  }
}

async function timed(
  twin: RunningGuest,
  monitor: Monitor,
  beat: Promise<number>,
  { repository, entry }: Held,
  { lazy, verifyFirst = false }: Way,
  first: readonly PageRun[],
): Promise<Times> {
  const { hypervisor, rest: location } = await hypervisorFor(`kvm:${twin.qmpPath}`);
  const resumed = monitor.event('RESUME', 300_000);
  // Handled below; the restore may fail first.
  resumed.catch(() => undefined);
  const startedAtMs = Date.now();
  const start = performance.now();
  let openedMs = NaN;
  const noting: Hypervisor = {
    ...hypervisor,
    restore: (...args) => {
      openedMs = performance.now() - start;
      return hypervisor.restore(...args);
    },
  };
  // An engine of its own, as a command would have: its workers are not there yet.
  const engine = createEngine();
  try {
    const request = { repository, entry, hypervisor: noting, location, lazy, verifyFirst };
    const report = await restore(engine, request, { first });
    const sentMs = performance.now() - start;
    if (lazy && report.lazy === undefined) throw new Error(`not lazy: ${report.notes.join(' ')}`);
    return {
      ...{ openedMs, sentMs, ...(report.lazy && { lazy: report.lazy }) },
      firstInstructionMs: (await resumed).atMs - startedAtMs,
      firstBeatMs: (await beat) - start,
    };
  } finally {
    await engine.close();
  }
}

/** When the first whole line of a beat was on the console. */
function firstBeat(serialPath: string): { readonly at: Promise<number>; close(): void } {
  let seen: (at: number) => void = () => undefined;
  const at = new Promise<number>((resolve) => (seen = resolve));
  const watcher = watch(serialPath, () => {
    if (parseHeartbeats(readFileSync(serialPath, 'latin1')).length === 0) return;
    seen(performance.now());
    watcher.close();
  });
  return { at, close: () => watcher.close() };
}

/** Its beats are the original's from the first on, and the end of its memory is what it was. */
async function prove({ truth, end }: Subject, twin: RunningGuest, monitor: Monitor): Promise<void> {
  const [first, ...others] = await waitForHeartbeats(twin.serialPath, (beats) => beats.length >= 3);
  for (const { name, beat, sum, intact } of [first!, ...others]) {
    const wanted = truth.get(`${name} ${beat}`);
    if (intact && (wanted === sum || (wanted === undefined && beat !== first!.beat))) continue;
    throw new Error(`the restored guest is wrong at beat ${beat}`);
  }
  const filename = path.join(twin.directory, 'end');
  await monitor.qmp.execute('pmemsave', { val: end.address, size: end.bytes.length, filename });
  if (!end.bytes.equals(await readFile(filename))) throw new Error("the end of the guest's memory is wrong");
}
