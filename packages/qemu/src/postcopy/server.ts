import type { Socket } from 'node:net';
import { PAGE_SIZE, type FitdocError, type PageRun, type RandomPages } from '@fitdoc/interface';
import { Latencies } from './latencies.js';
import { PushOrder } from './order.js';
import { readAround, readPatiently, type PatientOptions, type Unreadable } from './patient-reader.js';
import type { Returned } from './return-path.js';
import type { Transmission } from './transmission.js';

/** Pages a message: more would hold up an answer behind it, fewer would cost QEMU more wake-ups. */
const CHUNK_PAGES = 32;
/** Blocks that are read while one is sent. */
const READ_AHEAD = 2;
/** Pages that are sent behind an answer: a guest that read one often reads the next. */
const NEIGHBOURS = 32;
/** Runs that are read at a time before all others. */
const FIRST_AT_ONCE = 16;
/** Pages written last whose blocks are sent before others. */
const RECENT_PAGES = 4096;
/** Pages asked for that are remembered, for the next restore of the machine. */
const REMEMBERED = 4096;

export interface ServerOptions {
  readonly pages: RandomPages;
  readonly transmission: Transmission;
  /** Pages of the machine. */
  readonly total: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (left: number) => void;
  readonly onTrouble?: ((error: FitdocError) => void) | undefined;
}

/** A message that waits for its turn: it is made when that comes, as pages may have gone out meanwhile. */
interface Waiting {
  make(): Uint8Array | undefined;
  done(): void;
}

/**
 * Sends a guest its memory: at once what it asks for, with what lies around, and all the rest in between, in
 * messages so small that no answer waits long. One message is under way at a time.
 */
export class PageServer {
  readonly latencies = new Latencies();
  /** Pages that the guest asked for, in this order. */
  readonly asked: number[] = [];
  readonly unreadable: Unreadable[] = [];
  readonly #socket: Socket;
  readonly #options: ServerOptions;
  readonly #patient: PatientOptions;
  readonly #order: PushOrder;
  readonly #urgent: Waiting[] = [];
  readonly #pushed: Waiting[] = [];
  readonly #answering = new Set<number>();
  readonly #answers = new Set<Promise<void>>();
  #writing = false;
  #fail: (error: unknown) => void = () => undefined;
  readonly #failed: Promise<never>;

  constructor(socket: Socket, options: ServerOptions) {
    const { signal, onTrouble, pages } = options;
    this.#socket = socket;
    this.#options = options;
    this.#patient = { signal, onTrouble };
    this.#order = new PushOrder(pages.stored);
    this.#failed = new Promise<never>((_, reject) => (this.#fail = reject));
    this.#failed.catch(() => undefined);
  }

  /** A request on the return path: answered at once, whatever else is under way. */
  request(
    { block, offset, bytes }: Extract<Returned, { kind: 'request' }>,
    firstGfnOf: (block: string) => number,
  ): void {
    const start = firstGfnOf(block) + Math.floor(offset / PAGE_SIZE);
    const at = performance.now();
    const end = start + Math.ceil(bytes / PAGE_SIZE);
    for (let gfn = start; gfn < end;) {
      const host = this.#options.transmission.hostPage(gfn);
      this.#answer(host, at);
      gfn = host.start + host.count;
    }
  }

  /**
   * Sends everything that is owed: `first`, the pages that the guest is likely to ask for soonest, then what was
   * written last, then the rest. What cannot be read is left out, and told in `unreadable`.
   */
  async serve(first: readonly PageRun[] = []): Promise<void> {
    const preferred = this.#preferRecent();
    await Promise.race([this.#failed, this.#pushFirst(first)]);
    await Promise.race([this.#failed, preferred]);
    await Promise.race([this.#failed, this.#push()]);
    while (this.#answers.size > 0) await Promise.race([this.#failed, ...this.#answers]);
  }

  #answer(host: PageRun, at: number): void {
    const { transmission } = this.#options;
    // QEMU may ask for what is under way to it.
    if (transmission.isSent(host.start) || this.#answering.has(host.start)) return;
    this.#answering.add(host.start);
    if (this.asked.length < REMEMBERED) this.asked.push(host.start);
    const answer = this.#give(host, at).catch((error: unknown) => this.#fail(error));
    this.#answers.add(answer);
    void answer.finally(() => {
      this.#answers.delete(answer);
      this.#answering.delete(host.start);
    });
  }

  async #give(host: PageRun, at: number): Promise<void> {
    const { pages, transmission } = this.#options;
    const { extents, unreadable } = transmission.isOwed(host.start)
      ? await readAround(pages, host, this.#patient)
      : { extents: [], unreadable: [] };
    // No invented data: who waits for it waits.
    if (unreadable.length > 0) return;
    await this.#send(this.#urgent, () => transmission.section(host, extents, true));
    this.latencies.add(performance.now() - at);
    this.#order.asked(host.start);
    await this.#giveNeighbours(host.start + host.count);
  }

  async #giveNeighbours(from: number): Promise<void> {
    const { pages, transmission } = this.#options;
    for (const owed of transmission.owedIn(this.#neighbours(from))) {
      const extents = await readPatiently(pages, owed, this.#patient).catch(() => undefined);
      // Their block is pushed later, which tells what cannot be read.
      if (extents) await this.#send(this.#urgent, () => transmission.section(owed, extents));
    }
  }

  /** What lies from a page on, and is sent unasked: none where a host page is larger than that. */
  #neighbours(from: number): PageRun {
    const { transmission, total } = this.#options;
    if (from >= total) return { start: from, count: 0 };
    const { firstGfn, pages, pageSize } = transmission.blockOf(from);
    const most = NEIGHBOURS * PAGE_SIZE <= pageSize ? 0 : NEIGHBOURS;
    return { start: from, count: Math.min(most, firstGfn + pages - from) };
  }

  /** With their neighbours, without which the guest would ask for those. */
  async #pushFirst(first: readonly PageRun[]): Promise<void> {
    const ahead: Promise<void>[] = [];
    for (const run of first) {
      if (run.start + run.count > this.#options.total) continue;
      // Zeros, too: the guest waited for them.
      for (const chunk of this.#chunks(this.#wholeHostPages(run))) ahead.push(this.#pushLikely(chunk, true));
      for (const owed of this.#options.transmission.owedIn(this.#neighbours(run.start + run.count)))
        ahead.push(this.#pushLikely(owed, false));
      while (ahead.length > FIRST_AT_ONCE) await ahead.shift();
    }
    await Promise.all(ahead);
  }

  async #pushLikely(run: PageRun, zeros: boolean): Promise<void> {
    const { pages, transmission } = this.#options;
    // A failure is told when the block around it is pushed.
    const extents = await readPatiently(pages, run, this.#patient).catch(() => undefined);
    if (extents) await this.#send(this.#pushed, () => transmission.section(run, extents, zeros));
  }

  async #preferRecent(): Promise<void> {
    const { pages, signal } = this.#options;
    // Only an order: what cannot be read tells of itself when it is sent.
    this.#order.prefer(await pages.recent(RECENT_PAGES, { signal }).catch(() => []));
  }

  async #push(): Promise<void> {
    const ahead: Promise<void>[] = [];
    for (let parts = this.#order.next(); parts !== undefined; parts = this.#order.next()) {
      const blocked = this.#pushBlock(parts);
      blocked.catch((error: unknown) => this.#fail(error));
      ahead.push(blocked);
      if (ahead.length > READ_AHEAD) await ahead.shift();
    }
    await Promise.all(ahead);
  }

  async #pushBlock(parts: readonly PageRun[]): Promise<void> {
    const { pages, transmission, onProgress } = this.#options;
    for (const part of parts.map((each) => this.#wholeHostPages(each))) {
      if (transmission.owedIn(part).length === 0) continue;
      const { extents, unreadable } = await readAround(pages, part, this.#patient);
      this.unreadable.push(...unreadable);
      for (const chunk of this.#chunks(part)) {
        if (unreadable.some(({ run }) => overlap(run, chunk))) continue;
        await this.#send(this.#pushed, () => transmission.section(chunk, extents));
        onProgress?.(transmission.left);
      }
    }
  }

  #wholeHostPages({ start, count }: PageRun): PageRun {
    const { transmission } = this.#options;
    const first = transmission.hostPage(start).start;
    const last = transmission.hostPage(start + count - 1);
    return { start: first, count: last.start + last.count - first };
  }

  *#chunks({ start, count }: PageRun): Generator<PageRun> {
    const { transmission } = this.#options;
    for (let at = start; at < start + count;) {
      let end = at;
      while (end < start + count && end - at < CHUNK_PAGES) {
        const host = transmission.hostPage(end);
        end = host.start + host.count;
      }
      yield { start: at, count: end - at };
      at = end;
    }
  }

  /** Resolves when the message is in the socket, or turned out to be empty. */
  #send(queue: Waiting[], make: () => Uint8Array | undefined): Promise<void> {
    return new Promise<void>((done) => {
      queue.push({ make, done });
      this.#write();
    });
  }

  #write(): void {
    if (this.#writing) return;
    for (;;) {
      const next = this.#urgent.shift() ?? this.#pushed.shift();
      if (!next) return;
      const bytes = next.make();
      if (bytes === undefined) {
        next.done();
        continue;
      }
      this.#writing = true;
      // Not 'drain': it does not come where write() took all at once.
      this.#socket.write(bytes, (error) => {
        this.#writing = false;
        if (error) {
          this.#fail(error);
          return;
        }
        next.done();
        this.#write();
      });
      return;
    }
  }
}

function overlap(a: PageRun, b: PageRun): boolean {
  return a.start < b.start + b.count && b.start < a.start + a.count;
}
