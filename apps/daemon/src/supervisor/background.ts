/** Checkpoints after which a machine's history is looked at, at the latest. */
const CAPTURES = 16;
/** Milliseconds after which it is, when there was a checkpoint. */
const EVERY_MS = 5_000;
/** Of the time, what looking may take: a long history is looked at less often. */
const SHARE = 0.02;
/** The wait after a failure, which doubles up to the longest. */
const RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 600_000;

/** What a piece of work came to. */
export interface BackgroundOutcome {
  /** Whether there is more to do at once. */
  readonly isMore: boolean;
  /** Milliseconds that it took to find out what there is to do. */
  readonly costMs: number;
  /** Checkpoints that can be taken before it must be looked at again, whatever that costs. */
  readonly room: number;
}

export interface BackgroundWork {
  /** `isBehind`: of this machine, or of one that waits for it, more checkpoints were taken than there was room for. */
  readonly run: (machine: string, signal: AbortSignal, isBehind: () => boolean) => Promise<BackgroundOutcome>;
  readonly onError: (machine: string, error: unknown) => void;
}

interface Turn {
  captures: number;
  endedMs: number;
  failures: number;
  isQueued: boolean;
  /** Not before this, on the monotonic clock, unless there is no room left. */
  restsUntilMs: number;
  room: number;
}

/**
 * Does a piece of work for machines as their checkpoints go: soon after some, never for two machines at a time,
 * and less often where it fails.
 */
export class Background {
  readonly #work: BackgroundWork;
  readonly #turns = new Map<string, Turn>();
  readonly #end = new AbortController();
  #queue: Promise<void> = Promise.resolve();

  constructor(work: BackgroundWork) {
    this.#work = work;
  }

  /** A machine has a checkpoint more. */
  captured(machine: string): void {
    const turn = this.#turns.get(machine) ?? {
      captures: 0,
      endedMs: -Infinity,
      failures: 0,
      isQueued: false,
      restsUntilMs: -Infinity,
      room: CAPTURES,
    };
    this.#turns.set(machine, turn);
    turn.captures++;
    if (isDue(turn)) this.#enqueue(machine, turn);
  }

  forget(machine: string): void {
    this.#turns.delete(machine);
  }

  /** Ends what is under way; it goes on at the next start. */
  async close(): Promise<void> {
    this.#end.abort();
    await this.#queue;
  }

  #enqueue(machine: string, turn: Turn): void {
    if (turn.isQueued || this.#end.signal.aborted) return;
    turn.isQueued = true;
    this.#queue = this.#queue.then(() => this.#take(machine, turn));
  }

  async #take(machine: string, turn: Turn): Promise<void> {
    turn.isQueued = false;
    if (this.#end.signal.aborted || this.#turns.get(machine) !== turn) return;
    turn.captures = 0;
    let isMore = false;
    try {
      const outcome = await this.#work.run(machine, this.#end.signal, () => this.#isBehind(turn));
      isMore = outcome.isMore;
      turn.failures = 0;
      turn.room = outcome.room;
      turn.restsUntilMs = performance.now() + outcome.costMs / SHARE;
    } catch (error) {
      turn.failures++;
      if (!this.#end.signal.aborted) this.#work.onError(machine, error);
    }
    turn.endedMs = performance.now();
    if (isMore) this.#enqueue(machine, turn);
  }

  #isBehind(now: Turn): boolean {
    const waiting = [...this.#turns.values()].filter((turn) => turn === now || turn.isQueued);
    return waiting.some(({ captures, room }) => captures > Math.max(CAPTURES, room));
  }
}

function isDue({ captures, endedMs, failures, restsUntilMs, room }: Turn): boolean {
  const age = performance.now() - endedMs;
  if (failures > 0) return age >= Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** (failures - 1));
  if (performance.now() < restsUntilMs && captures < Math.max(CAPTURES, room)) return false;
  return captures >= CAPTURES || age >= EVERY_MS;
}
