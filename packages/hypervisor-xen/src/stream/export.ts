import {
  FitdocError,
  PAGE_SIZE,
  throwIfAborted,
  type CallOptions,
  type RestoreSource,
} from '@fitdoc/interface';
import { changeConfig, parseGuestConfig } from '../memory/guest-config.js';
import { decodeOutsidePages } from '../memory/outside-pages.js';
import { decodeTypeRuns, type TypeRun } from '../memory/page-types.js';
import { PfnSpace } from '../memory/pfn-space.js';
import { encodeImageHeader, encodeLibxlHeader, encodeXlHeader, XL_FLAGS } from './headers.js';
import { hasData, LIBXC, LIBXL, PAGES_PER_RECORD } from './layout.js';
import { hasVcpuState, readDeviceState, type RestoredState } from './stream-state.js';
import { encodePageHead, encodeRecord } from './writer.js';

export interface XenStreamOptions extends CallOptions {
  /** The name of the domain that a restore makes; by default the captured one. */
  readonly name?: string;
  /** Its uuid; by default the captured one. */
  readonly uuid?: string;
}

/**
 * A checkpoint as a stream that `xl restore` takes: headers, static data, every page that the domain has, its
 * vCPU and device records, END. Chunks are valid until the next is asked for.
 *
 * Errors: MACHINE_INCOMPATIBLE where the checkpoint is not of a Xen domain or has no vCPU state.
 */
export async function* xenStream(
  source: RestoreSource,
  options: XenStreamOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const state = readDeviceState(source.deviceState);
  if (!hasVcpuState(state)) {
    throw new FitdocError('MACHINE_INCOMPATIBLE', 'The checkpoint holds memory but no vCPU state.', {
      hint: 'It can be verified and compared, but not restored.',
    });
  }
  yield* head(state, source, options);
  yield* pageRecords(state, source, options);
  for (const { type, body } of state.after.filter((each) => each.layer === 'libxc')) {
    yield encodeRecord(type, body);
  }
  yield encodeRecord(LIBXC.END);
  for (const { type, body } of state.after.filter((each) => each.layer === 'libxl')) {
    yield encodeRecord(type, body);
  }
  yield encodeRecord(LIBXL.END);
}

/** Where `writeXenStream` writes to: a file handle or a stream, behind whatever back-pressure it has. */
export interface XenStreamSink {
  write(chunk: Uint8Array): Promise<unknown>;
}

/** Writes `xenStream` to a sink; gives the bytes written. The sink may keep no chunk beyond its `write`. */
export async function writeXenStream(
  source: RestoreSource,
  sink: XenStreamSink,
  options: XenStreamOptions = {},
): Promise<number> {
  let written = 0;
  for await (const chunk of xenStream(source, options)) {
    throwIfAborted(options.signal);
    await sink.write(chunk);
    written += chunk.length;
  }
  return written;
}

function* head(
  state: RestoredState,
  source: RestoreSource,
  options: XenStreamOptions,
): Generator<Uint8Array> {
  const { memoryKiB } = parseGuestConfig(state.config);
  const needed = (memoryPages(state, source) * PAGE_SIZE) / 1024;
  const config = changeConfig(state.config, {
    ...(options.name !== undefined && { name: options.name }),
    ...(options.uuid !== undefined && { uuid: options.uuid }),
    // The balloon may have grown since that configuration was read, and Xen gives a domain no more than that.
    ...(needed > memoryKiB && { targetKiB: needed }),
  });
  yield encodeXlHeader({ mandatoryFlags: XL_FLAGS, optionalFlags: 0, config });
  yield encodeLibxlHeader();
  yield encodeRecord(LIBXL.LIBXC_CONTEXT);
  yield encodeImageHeader(state.image);
  for (const { type, body } of state.before) yield encodeRecord(type, body);
}

const MEMORY = ['ram', 'video', 'high'];

/** Pages of the domain that count as its memory: its screen's do, rings and firmware do not. */
function memoryPages(state: RestoredState, source: RestoreSource): number {
  const spans = source.info.regions
    .filter(({ name }) => MEMORY.includes(name))
    .map((region) => ({ start: Number(region.gpa! / BigInt(PAGE_SIZE)), pages: region.pages }));
  let count = 0;
  for (const run of decodeTypeRuns(state.pages)) {
    for (const { start, pages } of spans) {
      count += Math.max(0, Math.min(run.pfn + run.count, start + pages) - Math.max(run.pfn, start));
    }
  }
  return count;
}

/** Splits runs at the size of a page record. */
function* portions(runs: readonly TypeRun[]): Generator<TypeRun> {
  for (const { pfn, count, type } of runs) {
    for (let done = 0; done < count; done += PAGES_PER_RECORD) {
      yield { pfn: pfn + done, count: Math.min(PAGES_PER_RECORD, count - done), type };
    }
  }
}

async function* pageRecords(
  state: RestoredState,
  source: RestoreSource,
  options: XenStreamOptions,
): AsyncGenerator<Uint8Array> {
  const outside = state.outside ? decodeOutsidePages(state.outside) : new Map<number, Uint8Array>();
  const reader = new PageReader(source, options);
  // One buffer for all records: a guest's memory passes through it.
  const buffer = new Uint8Array(PAGES_PER_RECORD * PAGE_SIZE);
  const runs = decodeTypeRuns(state.pages);
  const total = runs.reduce((sum, run) => sum + run.count, 0);
  let done = 0;
  try {
    for (const { pfn, count, type } of portions(runs)) {
      throwIfAborted(options.signal);
      const pfns = Array.from({ length: count }, (_, index) => pfn + index);
      yield encodePageHead(pfns, new Uint8Array(count).fill(type));
      if (hasData(type)) {
        const data = buffer.subarray(0, count * PAGE_SIZE).fill(0);
        await reader.fill(pfn, count, data);
        for (const [each, page] of outside) {
          if (each >= pfn && each < pfn + count) data.set(page, (each - pfn) * PAGE_SIZE);
        }
        yield data;
      }
      done += count;
      options.onProgress?.({ phase: 'writing pages', done, total, unit: 'pages' });
    }
  } finally {
    await reader.close();
  }
}

/** Walks the source's extents along ascending pfns. */
class PageReader {
  readonly #space: PfnSpace;
  readonly #extents: AsyncIterator<{ readonly gfn: number; readonly bytes: Uint8Array }>;
  #gfn = 0;
  #bytes: Uint8Array | undefined;

  constructor(source: RestoreSource, options: CallOptions) {
    this.#space = new PfnSpace(source.info.regions);
    const call = options.signal ? { signal: options.signal } : {};
    this.#extents = source.pages(call)[Symbol.asyncIterator]();
  }

  /** Copies the pages of `count` pfns from `pfn` that are not zero; requires ascending calls. */
  async fill(pfn: number, count: number, into: Uint8Array): Promise<void> {
    for (let done = 0; done < count;) {
      const step = this.#space.contiguous(pfn + done, count - done);
      const gfn = this.#space.gfnOf(pfn + done);
      if (gfn >= 0)
        await this.#fillRun(gfn, step, into.subarray(done * PAGE_SIZE, (done + step) * PAGE_SIZE));
      done += step;
    }
  }

  async #fillRun(first: number, count: number, into: Uint8Array): Promise<void> {
    for (;;) {
      if (this.#bytes === undefined && !(await this.#next())) return;
      const bytes = this.#bytes!;
      const end = this.#gfn + bytes.length / PAGE_SIZE;
      if (this.#gfn >= first + count) return;
      const from = Math.max(first, this.#gfn);
      const to = Math.min(first + count, end);
      if (from < to) {
        const slice = bytes.subarray((from - this.#gfn) * PAGE_SIZE, (to - this.#gfn) * PAGE_SIZE);
        into.set(slice, (from - first) * PAGE_SIZE);
      }
      if (end > first + count) return;
      this.#bytes = undefined;
    }
  }

  async #next(): Promise<boolean> {
    const next = await this.#extents.next();
    if (next.done) return false;
    this.#gfn = next.value.gfn;
    this.#bytes = next.value.bytes;
    return true;
  }

  async close(): Promise<void> {
    await this.#extents.return?.();
  }
}
