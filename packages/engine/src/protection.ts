import {
  FitdocError,
  isFitdocError,
  PAGE_SIZE,
  throwIfAborted,
  totalPages,
  type CallOptions,
  type Machine,
} from '@fitdoc/interface';
import type { Repository } from '@fitdoc/repository';
import { freshState } from './fresh-state.js';
import type { MemoryBudget } from './memory-budget.js';
import type { WorkerPool } from './pool.js';
import type { ProtectOptions } from './protect-options.js';
import type { CheckpointResult, ProtectionEvent } from './events.js';
import type { ProtectionState } from './protection-state.js';
import { resume } from './resume.js';
import { runSchedule, type ScheduleOptions } from './schedule.js';
import { takeCheckpoint, type TakeOptions } from './take-checkpoint.js';

interface Context {
  readonly pool: WorkerPool;
  readonly budget: MemoryBudget;
  readonly machine: Machine;
  readonly repository: Repository;
  readonly onEnd: (protection: Protection) => void;
}

/** A machine under protection: takes its checkpoints, one at a time. Made by `Engine.protect`. */
export class Protection {
  readonly machine: Machine;
  readonly repository: Repository;
  readonly #renew: () => Promise<ProtectionState>;
  #state: ProtectionState;
  #headLost = false;
  readonly #emit: (event: ProtectionEvent) => void;
  readonly #release: () => void;
  #busy: Promise<unknown> | undefined;
  #ended = false;

  private constructor(
    state: ProtectionState,
    renew: () => Promise<ProtectionState>,
    emit: (event: ProtectionEvent) => void,
    release: () => void,
  ) {
    this.#renew = renew;
    this.machine = state.machine;
    this.repository = state.repository;
    this.#state = state;
    this.#emit = emit;
    this.#release = release;
  }

  static async start(context: Context, options: ProtectOptions & CallOptions): Promise<Protection> {
    const { budget, machine } = context;
    throwIfAborted(options.signal);
    const pages = totalPages(machine.info.regions);
    const endClaim = budget.claim(pages * PAGE_SIZE, `The image of ${machine.info.name}`);
    try {
      const emit = options.onEvent ?? (() => undefined);
      const fresh = (): ProtectionState => freshState(context, options);
      const state = await resume(fresh, options, emit);
      const renew = (): Promise<ProtectionState> => resume(fresh, withoutFork(options), emit);
      const protection: Protection = new Protection(state, renew, emit, () => {
        endClaim();
        context.onEnd(protection);
      });
      return protection;
    } catch (error) {
      endClaim();
      throw error;
    }
  }

  /** The checkpoint that the next one builds on; undefined before the base. */
  get head(): ProtectionState['head'] {
    return this.#state.head;
  }

  /** Checkpoints in the chain that the next one builds on. */
  get chainLength(): number {
    return this.#state.head?.chainLength ?? 0;
  }

  /** Increments that rebuilding the most changed page takes. Walks all pages. */
  get deepestPage(): number {
    return this.#state.depth.deepest();
  }

  /** Bytes of memory that the image takes of this process now. */
  get imageBytes(): number {
    return this.#state.image.committedBytes();
  }

  /**
   * Takes a checkpoint now. When it resolves, it is durable in the repository. On failure the guest runs (or
   * the code is MACHINE_PAUSED), nothing is half stored, and the next checkpoint holds what this one would
   * have. Errors: MACHINE_BUSY while another is under way, and those of the machine and of the store.
   */
  async checkpoint(options: TakeOptions = {}): Promise<CheckpointResult> {
    if (this.#ended) throw new FitdocError('MACHINE_GONE', 'This protection was ended.');
    if (this.#busy) {
      throw new FitdocError('MACHINE_BUSY', `A checkpoint of ${this.machine.info.name} is under way.`, {
        retryable: true,
        hint: 'Wait for it to finish.',
      });
    }
    const work = this.#take(options);
    this.#busy = work;
    try {
      const result = await work;
      this.#emit({ type: 'checkpoint', result });
      return result;
    } catch (error) {
      // Somebody deleted the checkpoint that this one was to build on.
      if (isFitdocError(error, 'CHECKPOINT_NOT_FOUND')) this.#headLost = true;
      if (isFitdocError(error)) this.#emit({ type: 'checkpoint-failed', error });
      throw error;
    } finally {
      this.#busy = undefined;
    }
  }

  /** After its head was deleted, the chain goes on from what the repository still has, with all pages compared. */
  async #take(options: TakeOptions): Promise<CheckpointResult> {
    if (this.#headLost) {
      this.#state = await this.#renew();
      this.#state.fullNext = true;
      this.#headLost = false;
    }
    return takeCheckpoint(this.#state, options);
  }

  /**
   * Takes checkpoints at a given interval until `stop` is aborted (what is under way finishes), `signal` is
   * (it is cancelled), `count` is reached, or the machine says that it has ended. A failed checkpoint is an
   * event, and the next one follows at its time.
   */
  run(options: ScheduleOptions): AsyncGenerator<CheckpointResult> {
    return runSchedule(this, this.#emit, options);
  }

  /** Ends the protection and lets its memory go. Waits for what is under way; the machine stays attached. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#busy?.catch(() => undefined);
    this.#release();
  }
}

/** A fork that was asked for has happened: from then on the chain goes on with its latest. */
function withoutFork({ from: _, signal: _signal, ...options }: ProtectOptions & CallOptions): ProtectOptions {
  return { ...options, resume: 'auto' };
}
