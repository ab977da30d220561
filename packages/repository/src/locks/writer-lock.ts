import type { HeldLock } from './held-lock.js';
import { clashes, covers, type Held, type Holding } from './holding.js';
import {
  extentOfHeld,
  goingBy,
  lifeOf,
  LOCK_TTL_MS,
  touches,
  type FoundLock,
  type LockExtent,
} from './lock-record.js';

const IDLE_MS = 10_000;

/**
 * The lock of one machine's writer, kept between checkpoints. It holds everything from the sequence on that the
 * writer stood at when it was written last, so that it need not be written with each checkpoint.
 */
export class WriterLock {
  readonly lock: HeldLock | undefined;
  /** What others see that is held. */
  #shown: Held;
  /** What its uses under way need. */
  readonly #uses = new Set<Holding>();
  #head: Holding;
  #lastUsedMs: number;
  #yielding = false;

  constructor(lock: HeldLock | undefined, held: Holding, nowMs: number) {
    this.lock = lock;
    this.#shown = held;
    this.#head = held;
    this.#lastUsedMs = nowMs;
  }

  get inUse(): boolean {
    return this.#uses.size > 0;
  }

  /** What the writer goes on from. */
  get head(): Holding {
    return this.#head;
  }

  serves(wanted: Holding): boolean {
    return !this.#yielding && this.lock?.isFresh() === true && covers(this.#shown, wanted);
  }

  /** Gives the function that ends the use; with what the writer stands on then. */
  use(wanted: Holding): (nowMs: number, head?: Holding) => void {
    this.#uses.add(wanted);
    return (nowMs, head) => {
      this.#uses.delete(wanted);
      if (head) this.#head = head;
      this.#lastUsedMs = nowMs;
    };
  }

  /** Whether to let go now: somebody waits for what it holds, or nobody has used it for long. */
  mustGo(nowMs: number): boolean {
    return !this.inUse && (this.#yielding || nowMs - this.#lastUsedMs > IDLE_MS);
  }

  /** Shows that we live, and where the writer stands now, when that is due or somebody removes. */
  async refresh(removers: readonly FoundLock[], machine: string): Promise<void> {
    const { lock } = this;
    if (!lock) return;
    const near = removers.filter(
      (other) => touches(other, machine) && lifeOf(other, lock.storeNowMs()) !== 'dead',
    );
    if (near.length > 0 || lock.ageMs() > LOCK_TTL_MS / 4) await this.#show(lock, near.length > 0);
    this.#yielding = near.some((other) => clashes(this.#shown, goingBy(other)));
  }

  async #show(lock: HeldLock, asked: boolean): Promise<void> {
    const now = this.#needed();
    const moved = extentKey(extentOfHeld(now)) !== extentKey(extentOfHeld(this.#shown));
    if (asked && !moved && lock.ageMs() <= LOCK_TTL_MS / 4) return;
    // From here on only what will be shown counts as held, whether or not the store takes it.
    this.#shown = now;
    lock.extent = extentOfHeld(now);
    await lock.refresh();
  }

  #needed(): Holding {
    const all = [this.#head, ...this.#uses];
    const from = Math.min(...all.map((each) => each.from ?? Number.POSITIVE_INFINITY));
    const objects = new Set(all.flatMap((each) => [...each.objects]));
    return { objects, ...(Number.isFinite(from) ? { from } : {}) };
  }
}

function extentKey(extent: LockExtent): string {
  return JSON.stringify(extent);
}
