import {
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type CallOptions,
  type Machine,
} from '@fitdoc/interface';
import type { Claim, Repository } from '@fitdoc/repository';
import { ChainWatch } from './chain-watch.js';
import { freshState } from './fresh-state.js';
import { ImageMemory } from '../memory/image-memory.js';
import type { MemoryBudget } from '../memory/memory-budget.js';
import type { WorkerPool } from '../workers/pool.js';
import { checkPauseHook, type PauseHook } from './pause-hook.js';
import type { ProtectOptions } from './protect-options.js';
import type { CheckpointResult, ProtectionEvent } from './events.js';
import type { ProtectionState } from './protection-state.js';
import { resume } from './resume.js';
import { TOOL } from '../tool.js';
import { runSchedule, type ScheduleOptions } from './schedule.js';
import { takeCheckpoint, type TakeOptions } from './take-checkpoint.js';

interface Context {
  readonly pool: WorkerPool;
  readonly budget: MemoryBudget;
  readonly coldDirectory: string | undefined;
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
  readonly #watch: ChainWatch;
  readonly #claim: Claim;
  readonly #emit: (event: ProtectionEvent) => void;
  readonly #memory: ImageMemory;
  readonly #release: () => void;
  #busy: Promise<unknown> | undefined;
  #ended = false;

  private constructor(
    state: ProtectionState,
    claim: Claim,
    renew: () => Promise<ProtectionState>,
    emit: (event: ProtectionEvent) => void,
    watchEveryMs: number,
    memory: ImageMemory,
    release: () => void,
  ) {
    this.#memory = memory;
    this.#renew = renew;
    this.#claim = claim;
    this.machine = state.machine;
    this.repository = state.repository;
    this.#state = state;
    this.#emit = emit;
    this.#watch = new ChainWatch(watchEveryMs, (error) => this.#lose(error));
    this.#release = release;
  }

  static async start(context: Context, options: ProtectOptions & CallOptions): Promise<Protection> {
    throwIfAborted(options.signal);
    if (options.pauseHook) checkHooked(context.machine, options.pauseHook);
    if (options.quiesce && context.machine.supports.quiesce !== true) throw cannotFreeze(context.machine);
    const { coldDirectory: directory, repository } = context;
    const memory = await ImageMemory.claim({
      ...context,
      directory,
      sealed: repository.encryption !== undefined,
    });
    let claim: Claim | undefined;
    try {
      claim = await claimChain(context, options);
      const emit = options.onEvent ?? (() => undefined);
      const fresh = (): ProtectionState => freshState({ ...context, memory }, options);
      const state = await memory.exclusive(() => resume(fresh, options, emit));
      const renew = (): Promise<ProtectionState> => resume(fresh, withoutFork(options), emit);
      const protection: Protection = new Protection(
        state,
        claim,
        renew,
        emit,
        options.watchChainMs ?? 60_000,
        memory,
        () => context.onEnd(protection),
      );
      return protection;
    } catch (error) {
      await memory.end();
      await claim?.release();
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
   * the code is MACHINE_PAUSED or MACHINE_NOT_RUNNING), nothing is half stored, and the next checkpoint holds what
   * this one would have. Errors: MACHINE_BUSY while another is under way, MACHINE_CONFLICT when
   * another writes the chain now, and those of the machine and of the store.
   */
  async checkpoint(options: TakeOptions = {}): Promise<CheckpointResult> {
    if (this.#ended) throw new FitdocError('MACHINE_GONE', 'This protection was ended.');
    if (this.#busy) {
      throw new FitdocError('MACHINE_BUSY', `A checkpoint of ${this.machine.info.name} is under way.`, {
        retryable: true,
        hint: 'Wait for it to finish.',
      });
    }
    const work = this.#memory.exclusive(() => this.#take(options));
    this.#busy = work;
    try {
      const result = await work;
      this.#memory.relax(result.entry.kind === 'base' ? 0 : result.cost.dirtyPages);
      this.#emit({ type: 'checkpoint', result });
      if (!this.#headLost) this.#watch.glance(this.#state);
      return result;
    } catch (error) {
      // Somebody deleted the checkpoint that this one was to build on.
      if (isFitdocError(error, 'CHECKPOINT_NOT_FOUND')) this.#headLost = true;
      if (isFitdocError(error) && isFailure(error)) this.#emit({ type: 'checkpoint-failed', error });
      throw error;
    } finally {
      this.#busy = undefined;
    }
  }

  /** Why the guest stands, by its operator's doing or its own; undefined while it runs, or where nobody can tell. */
  async standing(options: CallOptions = {}): Promise<FitdocError | undefined> {
    return this.machine.standing?.(options);
  }

  /** After its head, or what that stands on, was lost, the chain goes on from what the repository still has, with all pages compared. */
  async #take(options: TakeOptions): Promise<CheckpointResult> {
    await this.#claim.ensure(options.signal ? { signal: options.signal } : {});
    if (this.#headLost) {
      await this.repository.assertPresent();
      this.#state = await this.#renew();
      this.#state.fullNext = true;
      this.#headLost = false;
    }
    const result = await takeCheckpoint(this.#state, options);
    return { ...result, notes: [...result.notes, ...this.#memory.takeNotes()] };
  }

  /**
   * Takes checkpoints at a given interval until `stop` is aborted (what is under way finishes), `signal` is
   * (it is cancelled), `count` is reached, or the machine says that it has ended. A failed checkpoint is an
   * event, and the next one follows at its time.
   */
  run(options: ScheduleOptions): AsyncGenerator<CheckpointResult> {
    return runSchedule(this, this.#emit, options);
  }

  /**
   * Tells that objects were found damaged, by a verification say. Where this protection stands on one of them the
   * next checkpoint goes on without it.
   */
  distrust(keys: readonly string[], error: FitdocError): void {
    if (this.#state.path.some(({ key }) => keys.includes(key))) this.#lose(error);
  }

  #lose(error: FitdocError): void {
    if (this.#headLost) return;
    this.#headLost = true;
    this.#emit({ type: 'chain-broken', error });
  }

  /** Ends the protection and lets its memory go. Waits for what is under way; the machine stays attached. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#busy?.catch(() => undefined);
    await this.#watch.end();
    await this.#memory.end();
    await this.#claim.release();
    this.#release();
  }
}

function claimChain({ machine, repository }: Context, options: ProtectOptions & CallOptions): Promise<Claim> {
  const { id, scheme, name, origin } = machine.info;
  const writer = options.writer ?? { location: `${scheme}:${name}`, program: TOOL };
  const call = options.signal ? { signal: options.signal } : {};
  return repository.claim(id, { ...writer, ...(origin && { origin }) }, call);
}

/** Errors: ARGUMENT_INVALID, CAPABILITY_MISSING. */
function checkHooked({ info, supports }: Machine, hook: PauseHook): void {
  checkPauseHook(hook);
  if (supports.pauseTask === true) return;
  throw new FitdocError('CAPABILITY_MISSING', `Nothing of ours can run in the pauses of ${info.name}.`, {
    hint: 'The way in which it is captured ends its pauses by itself: do without the pause hook, or capture it in another.',
  });
}

function cannotFreeze({ info }: Machine): FitdocError {
  return new FitdocError(
    'CAPABILITY_MISSING',
    `The file systems of ${info.name} cannot be frozen from outside.`,
    {
      hint: 'It takes QEMU and a channel to a guest agent (a virtserialport named org.qemu.guest_agent.0 on a unix socket). Or freeze them by the hooks of the daemon.',
    },
  );
}

/** A guest that stands, or has ended as guests do, has not failed. */
function isFailure({ code, details }: FitdocError): boolean {
  return code !== 'MACHINE_NOT_RUNNING' && details['ended'] !== true;
}

/** A fork that was asked for has happened: from then on the chain goes on with its latest. */
function withoutFork({ from: _, signal: _signal, ...options }: ProtectOptions & CallOptions): ProtectOptions {
  return { ...options, resume: 'auto' };
}
