import { PAGE_SIZE } from '@fitdoc/interface';
import { hypervisor, mockMachine } from '@fitdoc/hypervisor-mock';
import { listTraces, readTrace, type TraceEpoch } from '../ramtrace.js';

/** A guest that writes as it runs: what its pages hold after each second, as far as it changed them. */
export interface WritingGuest {
  readonly name: string;
  /** Of its memory. */
  readonly pages: number;
  /** Everything that it holds before the first second, as far as it is known. */
  readonly base: TraceEpoch;
  /** Everything that it holds now, where that is known: recordings have only the pages that change. */
  all?(): TraceEpoch;
  next(): TraceEpoch;
  end(): Promise<void>;
}

const MOCKS = ['kv', 'random', 'database', 'compiler', 'stencil', 'idle'] as const;

/** The names of all guests: the mock's workloads, and the recordings that are there. */
export async function guestNames(): Promise<string[]> {
  return [...MOCKS.map((name) => `mock:${name}`), ...(await listTraces()).map((name) => `rec:${name}`)];
}

export function openGuest(name: string): Promise<WritingGuest> {
  const [kind, what] = name.split(':') as [string, string];
  return kind === 'mock' ? mockGuest(name, what) : recordedGuest(name, what);
}

async function mockGuest(name: string, workload: string): Promise<WritingGuest> {
  const place = `bench-history-${workload}`;
  const machine = await hypervisor.attach(`${place}?memory=256M&seed=11&workload=${workload}`);
  const guest = await mockMachine(place);
  const { memory } = guest;
  const held = (gfns: Uint32Array): TraceEpoch => {
    const pages = new Uint8Array(gfns.length * PAGE_SIZE);
    gfns.forEach((gfn, at) => memory.copyTo(gfn, 1, pages.subarray(at * PAGE_SIZE, (at + 1) * PAGE_SIZE)));
    return { gfns, pages };
  };
  const all = () =>
    held(Uint32Array.from({ length: memory.pages }, (_, gfn) => gfn).filter((gfn) => !memory.isZero(gfn)));
  const base = all();
  memory.dirty.clearAll();
  return {
    ...{ name, pages: memory.pages, base, all },
    next() {
      guest.run(1);
      const dirty: number[] = [];
      for (const { start, count } of memory.dirty.runs())
        for (let gfn = start; gfn < start + count; gfn++) dirty.push(gfn);
      memory.dirty.clearAll();
      return held(Uint32Array.from(dirty));
    },
    async end() {
      await machine.detach();
      hypervisor.forget(place);
    },
  };
}

/**
 * A recording, over and over: its epochs as they were, one a second; in each further round the pages that change in
 * one epoch only lie elsewhere, as a guest's allocator would have them.
 */
async function recordedGuest(name: string, recording: string): Promise<WritingGuest> {
  const trace = await readTrace(recording);
  const times = new Map<number, number>();
  for (const { gfns } of trace.epochs) for (const gfn of gfns) times.set(gfn, (times.get(gfn) ?? 0) + 1);
  let nth = 0;
  return {
    ...{ name, pages: trace.memoryPages, base: trace.base },
    next() {
      const round = Math.floor(nth / trace.epochs.length);
      const epoch = trace.epochs[nth++ % trace.epochs.length]!;
      if (round === 0 || trace.epochs.length === 1) return epoch;
      const shift = (round * 7_919) % trace.memoryPages;
      const placed = [...epoch.gfns].map((gfn, at) => ({
        gfn: times.get(gfn)! > 1 ? gfn : (gfn + shift) % trace.memoryPages,
        at,
      }));
      return inOrder(placed, epoch.pages);
    },
    end: () => Promise.resolve(),
  };
}

/** Pages in ascending order; of two in one place, the later counts. */
function inOrder(placed: readonly { gfn: number; at: number }[], pages: Uint8Array): TraceEpoch {
  const byGfn = new Map(placed.map(({ gfn, at }) => [gfn, at]));
  const gfns = Uint32Array.from(byGfn.keys()).sort();
  const bytes = new Uint8Array(gfns.length * PAGE_SIZE);
  gfns.forEach((gfn, to) => {
    const at = byGfn.get(gfn)!;
    bytes.set(pages.subarray(at * PAGE_SIZE, (at + 1) * PAGE_SIZE), to * PAGE_SIZE);
  });
  return { gfns, pages: bytes };
}
