import { createEngine, restore, verify, type CheckpointResult, type Engine } from '@fitdoc/engine';
import { openStore } from '@fitdoc/adapters';
import { hypervisor, mockMachine } from '@fitdoc/adapters/mock';
import { FitdocError, PAGE_SIZE, totalPages, type Machine } from '@fitdoc/interface';
import { Repository } from '@fitdoc/repository';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { Terminal } from '../output/terminal.js';
import { bytes, count, milliseconds, percent, shortId } from '../output/units.js';
import { recordedMemory, samePage } from './recorded-memory.js';

/** Checkpoints that the demo takes; the one in the middle is brought back. */
const CHECKPOINTS = 20;
const MIDDLE = 10;

export interface DemoFigures {
  readonly checkpoints: number;
  /** Stored bytes of the increments, of the same as whole memory, and as whole dirty pages. */
  readonly increments: { readonly stored: number; readonly full: number; readonly pages: number };
  readonly pauseMs: { readonly median: number; readonly longest: number };
  readonly restoredEqual: boolean;
  readonly damageFound: boolean;
}

export interface DemoOptions {
  /** A recording of a guest's memory, in the mock's format. */
  readonly recording: string;
  /** An empty folder for the repository. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** The main job on a recorded guest, told step by step. */
export async function tellDemo(terminal: Terminal, options: DemoOptions): Promise<DemoFigures> {
  const say = (text: string): void => terminal.line(text);
  const engine = createEngine();
  const store = await openStore(options.folder, { create: true });
  const repository = await Repository.init(store);
  const machine = await hypervisor.attach(`trace:${options.recording}`);
  try {
    const memory = totalPages(machine.info.regions) * PAGE_SIZE;
    say(
      `1. A machine: ${machine.info.name}, ${bytes(memory)} of memory, as recorded from a real Linux guest at work.`,
    );
    say(`   A repository for its checkpoints: ${options.folder}`);
    say('');
    say(
      `2. ${CHECKPOINTS} checkpoints. Each pauses the machine, takes the pages that it wrote, and stores the 8-byte`,
    );
    say('   words of them that changed. For comparison: the whole memory, and whole dirty pages.');
    say('');
    const results = await takeAll(engine, machine, repository, memory, terminal, options.signal);
    const figures = summarize(results, memory);
    say('');
    say(
      `   The increments together: ${bytes(figures.increments.stored)}, ${percent(figures.increments.stored, figures.increments.pages)} of`,
    );
    say(
      `   the dirty pages and ${percent(figures.increments.stored, figures.increments.full)} of a full save each time.`,
    );
    say(`   Median pause ${milliseconds(figures.pauseMs.median)}.`);
    say('');
    const restoredEqual = await bringBack(engine, repository, results, options.recording, terminal);
    const damageFound = await damageOne(repository, results, options.folder, terminal);
    return { ...figures, restoredEqual, damageFound };
  } finally {
    await machine.detach();
    await engine.close();
    await repository.close();
    await store.close();
  }
}

async function takeAll(
  engine: Engine,
  machine: Machine,
  repository: Repository,
  memory: number,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<readonly CheckpointResult[]> {
  const protection = await engine.protect(machine, repository, { signal });
  const results: CheckpointResult[] = [];
  terminal.line(row(['#', 'checkpoint', 'pause', 'full save', 'dirty pages', 'stored', 'of dirty']));
  while (results.length < CHECKPOINTS) {
    const result = await protection.checkpoint({ signal });
    results.push(result);
    const dirty = result.cost.dirtyPages * PAGE_SIZE;
    const { entry, cost } = result;
    const cells = [
      results.length,
      shortId(entry.id),
      milliseconds(cost.pauseMs),
      bytes(memory),
      bytes(dirty),
      bytes(entry.bytes),
      percent(entry.bytes, dirty),
    ];
    terminal.line(row(cells.map(String)) + (entry.kind === 'base' ? '  base' : ''));
  }
  return results;
}

function row(cells: readonly string[]): string {
  const widths = [5, 12, 9, 10, 11, 10, 8];
  return `   ${cells.map((cell, index) => (index === 1 ? cell.padEnd(12) : cell.padStart(widths[index] ?? 8))).join('  ')}`;
}

function summarize(
  results: readonly CheckpointResult[],
  memory: number,
): Pick<DemoFigures, 'checkpoints' | 'increments' | 'pauseMs'> {
  const increments = results.filter(({ entry }) => entry.kind === 'increment');
  const sum = (of: (result: CheckpointResult) => number): number =>
    increments.reduce((total, result) => total + of(result), 0);
  const pauses = increments.map(({ cost }) => cost.pauseMs).sort((a, b) => a - b);
  return {
    checkpoints: results.length,
    increments: {
      stored: sum(({ entry }) => entry.bytes),
      full: increments.length * memory,
      pages: sum(({ cost }) => cost.dirtyPages * PAGE_SIZE),
    },
    pauseMs: { median: pauses[Math.floor(pauses.length / 2)] ?? 0, longest: pauses.at(-1) ?? 0 },
  };
}

async function bringBack(
  engine: Engine,
  repository: Repository,
  results: readonly CheckpointResult[],
  recording: string,
  terminal: Terminal,
): Promise<boolean> {
  const middle = results[MIDDLE - 1];
  if (!middle) throw new FitdocError('CHECKPOINT_NOT_FOUND', 'The demo took too few checkpoints.');
  const { entry } = middle;
  terminal.line(`3. Back to checkpoint ${MIDDLE} (${shortId(entry.id)}), into a new machine.`);
  await restore(engine, { repository, entry, hypervisor, location: 'demo-restored' });
  const { memory } = await mockMachine('demo-restored');
  // The first capture shows the recording's beginning, each later one a further epoch.
  const expected = await recordedMemory(recording, MIDDLE - 1);
  let differing = 0;
  for (let gfn = 0; gfn < memory.pages; gfn++) {
    if (!samePage(memory.peek(gfn), expected.get(gfn))) differing++;
  }
  const verdict = differing === 0 ? 'equal, byte for byte,' : `NOT equal (${count(differing)} pages differ)`;
  terminal.line(
    `   All ${count(memory.pages)} pages compared with the recording: ${verdict} to what it was then.`,
  );
  terminal.line('');
  return differing === 0;
}

async function damageOne(
  repository: Repository,
  results: readonly CheckpointResult[],
  folder: string,
  terminal: Terminal,
): Promise<boolean> {
  const victim = results[MIDDLE]?.entry;
  if (!victim) return false;
  const file = path.join(folder, victim.key);
  terminal.line(`4. One bit of one file is flipped: ${victim.key}`);
  await flipBit(file, Math.floor(victim.bytes / 2));
  const report = await verify(repository, await repository.list(), { data: 1 });
  const found = report.findings.some(({ key }) => key === victim.key);
  for (const { key, message } of report.findings) terminal.line(`   verify: ${key}: ${message}`);
  await flipBit(file, Math.floor(victim.bytes / 2));
  const after = await verify(repository, await repository.list(), { data: 1 });
  terminal.line(
    `   Flipped back: ${count(after.checkpoints)} checkpoints verified, ${after.findings.length} findings.`,
  );
  return found && after.findings.length === 0;
}

async function flipBit(file: string, position: number): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, position);
    byte[0] = (byte[0] ?? 0) ^ 1;
    await handle.write(byte, 0, 1, position);
  } finally {
    await handle.close();
  }
}
