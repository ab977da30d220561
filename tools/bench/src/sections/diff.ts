import {
  DiffPool,
  diffPages,
  MemoryImage,
  runGatherTask,
  type DiffTask,
  type KernelKind,
} from '@fitdoc/diff';
import { MAX_BATCH_PAGES, PAGE_SIZE } from '@fitdoc/interface';
import type { BenchContext } from '../context.js';
import type { Row, Section } from '../section.js';
import { median } from '../timing.js';

const PIECE = MAX_BATCH_PAGES * PAGE_SIZE;
const CHANGED = '10 % of words changed, in runs';
const UNCHANGED = 'unchanged pages';
const MEMCPY = 'memcpy (Uint8Array.set)';

/** Seconds that a piece of work took, by who did it. */
type Samples = Map<string, number[]>;

function timed<T>(samples: Samples, name: string, work: () => T): T {
  const start = performance.now();
  const result = work();
  const taken = samples.get(name) ?? [];
  taken.push(performance.now() - start);
  samples.set(name, taken);
  return result;
}

/** A guest of the given size, and an image into which it was captured before. */
class Guest {
  readonly memory: Uint8Array;
  readonly image: MemoryImage;
  readonly #columns = new Uint8Array(PIECE);
  #turn = 0;

  constructor(
    readonly pages: number,
    kernel: KernelKind = 'wasm',
  ) {
    this.memory = new Uint8Array(new SharedArrayBuffer(pages * PAGE_SIZE));
    const halves = new Uint32Array(this.memory.buffer);
    for (let i = 0; i < halves.length; i++) halves[i] = Math.imul(i + 1, 0x9e37_79b1);
    this.image = MemoryImage.create({ pages, stagingPages: pages, kernel });
  }

  /** A capture of all pages, as an adapter does it: what is timed begins when they are staged. */
  stage(): void {
    this.image.clearPending();
    this.image.beginCapture();
    for (let gfn = 0; gfn < this.pages;) {
      const view = this.image.place(gfn, this.pages - gfn);
      view.set(this.memory.subarray(gfn * PAGE_SIZE, gfn * PAGE_SIZE + view.length));
      gfn += view.length / PAGE_SIZE;
    }
  }

  /** Changes 51 of each page's 512 words, in three runs of 17. */
  change(): void {
    const halves = new Uint32Array(this.memory.buffer);
    const turn = ++this.#turn;
    for (let page = 0; page < this.pages; page++) {
      for (let run = 0; run < 3; run++) {
        const start = page * 1024 + 2 * ((page * 7 + turn * 13 + run * 171) % 495);
        for (let word = 0; word < 17; word++) halves[start + word * 2]! += turn;
      }
    }
  }

  /**
   * Takes 4 MiB of what is staged at a time: compares it, updates the image, lays the changed words out in a
   * batch. Before each piece `before` is called with its number.
   */
  async settlePieces(samples: Samples, name: string, before: (piece: number) => void): Promise<void> {
    let piece = 0;
    const run = async (task: DiffTask) => {
      before(piece++);
      return timed(samples, name, () => runGatherTask(task, { into: this.#columns }));
    };
    await this.image.settle({ run, concurrency: 1 });
  }
}

interface Measured {
  readonly variant: string;
  /** GB/s of guest memory. */
  readonly value: number;
  readonly ratioTo?: string;
  readonly atLeast?: number;
}

function rowsOf(name: string, measured: readonly Measured[]): Row[] {
  return measured.map(({ variant, value, ratioTo, atLeast }) => {
    const row: Row = { name, variant, value, unit: 'GB/s' };
    const base = measured.find((other) => other.variant === ratioTo);
    if (ratioTo === undefined || !base) return row;
    const ratio = value / base.value;
    if (atLeast === undefined) return { ...row, ratio, ratioTo };
    return { ...row, ratio, ratioTo, target: { of: 'ratio', atLeast } };
  });
}

/**
 * The kernel, its twin and a memcpy in turns of 4 MiB each, over more memory than a cache holds. A turn is
 * shorter than what a scheduler gives a thread at a time, so a busy machine changes the median little.
 */
async function oneThread(context: BenchContext, changed: boolean): Promise<Row[]> {
  const pieces = context.quick ? 16 : 64;
  const guest = new Guest(pieces * MAX_BATCH_PAGES);
  // 16 pieces: fewer tasks would be smaller ones.
  const twin = new Guest(16 * MAX_BATCH_PAGES, 'typescript');
  const copy = new Uint8Array(new SharedArrayBuffer(guest.memory.length));
  copy.fill(1);
  let samples: Samples = new Map();
  const memcpy = (piece: number) => {
    const part = guest.memory.subarray(piece * PIECE, (piece + 1) * PIECE);
    timed(samples, MEMCPY, () => copy.set(part, piece * PIECE));
  };
  const round = async (of: Guest, name: string) => {
    if (changed) of.change();
    of.stage();
    await of.settlePieces(samples, name, memcpy);
  };
  for (let warm = 0; warm < 2; warm++) await round(guest, 'WebAssembly');
  await round(twin, 'TypeScript twin');
  samples = new Map();
  for (let i = 0; i < (context.quick ? 3 : 8); i++) {
    await round(guest, 'WebAssembly');
    if (i % 3 === 0) await round(twin, 'TypeScript twin');
  }
  const speed = (variant: string) => PIECE / 1e6 / median(samples.get(variant)!);
  const fast = speed('WebAssembly');
  // A turn of the twin is longer than a time slice: its best turn is the one that nothing interrupted.
  const twinSpeed = PIECE / 1e6 / Math.min(...samples.get('TypeScript twin')!);
  return rowsOf(changed ? CHANGED : UNCHANGED, [
    { variant: MEMCPY, value: speed(MEMCPY) },
    { variant: 'WebAssembly', value: fast, ratioTo: MEMCPY, atLeast: changed ? 0.65 : 0.85 },
    { variant: 'TypeScript twin', value: twinSpeed, ratioTo: MEMCPY },
    { variant: 'WebAssembly again', value: fast, ratioTo: 'TypeScript twin', atLeast: 4.5 },
  ]);
}

/** Whole settles on one and on two threads, in turns; the best of each, since only that had both cores. */
async function workers(context: BenchContext, changed: boolean): Promise<Row[]> {
  const guest = new Guest((context.quick ? 16 : 32) * MAX_BATCH_PAGES);
  const one = DiffPool.create({ workers: 1 });
  const two = DiffPool.create({ workers: 2 });
  const prepare = () => {
    if (changed) guest.change();
    guest.stage();
  };
  const copy = new Uint8Array(new SharedArrayBuffer(guest.memory.length)).fill(1);
  const settleOn = (pool: DiffPool) => () => guest.image.settle({ run: (task) => pool.run(task) });
  try {
    const timings = await context.compare(
      [
        { name: MEMCPY, prepare, run: () => copy.set(guest.memory) },
        { name: 'one worker', prepare, run: settleOn(one) },
        { name: 'two workers', prepare, run: settleOn(two) },
      ],
      { rounds: context.quick ? 8 : 30 },
    );
    const speed = (variant: string) => guest.memory.length / 1e6 / timings.get(variant)!.minimum;
    return rowsOf(`workers, ${changed ? CHANGED : UNCHANGED}`, [
      { variant: MEMCPY, value: speed(MEMCPY) },
      {
        ...{ variant: 'one worker', value: speed('one worker'), ratioTo: MEMCPY },
        atLeast: changed ? 0.5 : 0.8,
      },
      { variant: 'two workers', value: speed('two workers'), ratioTo: 'one worker', atLeast: 1.6 },
    ]);
  } finally {
    await Promise.all([one.close(), two.close()]);
  }
}

/** The function for two plain buffers, on 4 MiB at a time. */
function buffers(context: BenchContext): Row[] {
  const guests = Array.from({ length: context.quick ? 8 : 32 }, () => new Guest(MAX_BATCH_PAGES));
  const images = guests.map((guest) => guest.memory.slice());
  const copies = guests.map((guest) => guest.memory.slice());
  let samples: Samples = new Map();
  for (let round = 0; round < 9; round++) {
    if (round === 1) samples = new Map();
    for (const guest of guests) guest.change();
    for (const name of [CHANGED, UNCHANGED]) {
      guests.forEach(({ memory }, index) => {
        timed(samples, MEMCPY, () => copies[index]!.set(memory));
        timed(samples, name, () => diffPages(memory, images[index]!));
      });
    }
  }
  const speed = (variant: string) => PIECE / 1e6 / median(samples.get(variant)!);
  return rowsOf('diffPages on two plain buffers', [
    { variant: MEMCPY, value: speed(MEMCPY) },
    { variant: UNCHANGED, value: speed(UNCHANGED), ratioTo: MEMCPY },
    { variant: CHANGED, value: speed(CHANGED), ratioTo: MEMCPY, atLeast: 0.2 },
  ]);
}

export const section: Section = {
  name: 'diff',
  title: 'Comparing captured pages with their image',
  async run(context) {
    const rows: Row[] = [];
    for (const changed of [false, true]) rows.push(...(await oneThread(context, changed)));
    for (const changed of [false, true]) rows.push(...(await workers(context, changed)));
    return [...rows, ...buffers(context)];
  },
};
