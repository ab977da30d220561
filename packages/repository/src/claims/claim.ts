import { randomBytes } from 'node:crypto';
import { isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import type { Clock } from '../clock.js';
import { thisProcess } from '../locks/process-identity.js';
import {
  claimFolder,
  CLAIM_TTL_MS,
  encodeClaim,
  findClaims,
  lifeOf,
  type ClaimRecord,
  type FoundClaim,
  type Writer,
} from './claim-record.js';
import { conflict, fenced, takenOver } from './conflict.js';
import type { Takeovers } from './takeovers.js';

/** Milliseconds between two signs of life, and between two looks at a silent claim. */
const REFRESH_MS = CLAIM_TTL_MS / 3;
const LOOK_MS = 5_000;
/** Between two looks at whether the machine was taken over: so long a chain may have two writers then. */
const FENCE_MS = 5_000;
const ATTEMPTS = 3;

export interface ClaimContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly takeovers: Takeovers;
  readonly machine: string;
  readonly writer: Writer;
  /**
   * Whether what an earlier run of the same protector left may be taken over. Only once: of two that live, one must
   * give way for good.
   */
  readonly mayTakeOver: boolean;
  /** Keys of claims of ours that were given up, and may still lie in the store. */
  readonly givenUp: Set<string>;
}

/**
 * The right to write a machine's chain. Each writer first puts its claim and then looks for others', so of two at
 * least one sees the other and gives way. A claim of an ended process of this host ends at once, one from elsewhere
 * when it has given no sign of life for its time.
 */
export class Claim {
  readonly #context: ClaimContext;
  readonly #record: ClaimRecord;
  readonly #key: string;
  /** By the steady clock; undefined while nothing of ours is in the store. */
  #writtenAtMs: number | undefined;
  #storeAtMs = 0;
  #fenceAtMs = Number.NEGATIVE_INFINITY;
  #mayTakeOver: boolean;
  #ended = false;
  #onRelease: () => void = () => undefined;
  #stopTimer: (() => void) | undefined;
  #busy: Promise<void> = Promise.resolve();

  private constructor(context: ClaimContext) {
    const { clock, machine, writer } = context;
    this.#context = context;
    this.#mayTakeOver = context.mayTakeOver;
    this.#record = { ...writer, createdAtMs: clock.now(), ttlMs: CLAIM_TTL_MS, owner: thisProcess() };
    this.#key = `${claimFolder(machine)}${randomBytes(8).toString('hex')}.json`;
  }

  /** Errors: MACHINE_CONFLICT, which names the other writer; the store's. */
  static async take(context: ClaimContext, call: CallOptions): Promise<Claim> {
    const claim = new Claim(context);
    await claim.#take(call);
    claim.#mayTakeOver = false;
    claim.#stopTimer = context.clock.every(REFRESH_MS, () => void claim.ensure({}).catch(() => undefined));
    return claim;
  }

  get writer(): Writer {
    return this.#record;
  }

  /**
   * Makes sure that the claim holds: no I/O while that was looked at lately. To be called before each checkpoint.
   * Errors: MACHINE_CONFLICT when another has it now; the store's when that cannot be told.
   */
  ensure(call: CallOptions): Promise<void> {
    // The timer's turn and a checkpoint's, one after the other.
    const turn = this.#busy.then(() => this.#ensure(call));
    this.#busy = turn.catch(() => undefined);
    return turn;
  }

  /** For who keeps count of claims. */
  onRelease(listener: () => void): void {
    this.#onRelease = listener;
  }

  async release(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#onRelease();
    this.#stopTimer?.();
    await this.#busy;
    await this.#withdraw();
  }

  async #ensure(call: CallOptions): Promise<void> {
    if (this.#ended) return;
    const age = this.#ageMs();
    try {
      if (this.#context.clock.steady() - this.#fenceAtMs >= FENCE_MS) await this.#lookForTakeover(call);
      if (age < REFRESH_MS * 0.9) return;
      if (age < CLAIM_TTL_MS * 0.8) await this.#refresh(call);
      else await this.#take(call);
    } catch (error) {
      // Nobody can have taken it yet.
      if (age < CLAIM_TTL_MS * 0.8 && !isFitdocError(error, 'MACHINE_CONFLICT')) return;
      throw error;
    }
  }

  async #refresh(call: CallOptions): Promise<void> {
    if (await this.#context.store.stat(this.#key, call)) return this.#write(call);
    // Somebody took it away: a later run of the same protector, or one that broke it.
    this.#writtenAtMs = undefined;
    const [other] = await this.#others(call);
    if (other) throw takenOver(this.#context.machine, this.#record);
    await this.#take(call);
  }

  async #take(call: CallOptions): Promise<void> {
    // A claim that was to be given up again would meanwhile stand in the way of the one that took over.
    await this.#lookForTakeover(call);
    for (let attempt = 1; ; attempt++) {
      const before = await this.#others(call);
      if (before[0]) throw await this.#refused(before[0]);
      await this.#writeUnlessFull(call);
      // Behind our claim: who takes the machine over says so first, and then removes claims.
      await this.#lookForTakeover(call);
      const [rival] = await this.#others(call);
      if (!rival) return;
      await this.#withdraw();
      if (attempt === ATTEMPTS) throw await this.#refused(rival);
      // Not the same for two that met, so that they do not meet again and again.
      await this.#context.clock.sleep(100 + Math.random() * 400, call.signal);
    }
  }

  /** MACHINE_CONFLICT where the machine goes on as another guest than ours. */
  async #lookForTakeover(call: CallOptions): Promise<void> {
    const { takeovers, machine, clock } = this.#context;
    const takeover = await takeovers.latest(machine, call);
    this.#fenceAtMs = clock.steady();
    const { origin } = this.#record;
    if (takeover?.state === undefined) return;
    if (origin?.machine === machine && origin.state === takeover.state) return;
    await this.#withdraw();
    throw fenced(machine, this.#record, takeover);
  }

  async #refused(other: FoundClaim): Promise<Error> {
    await this.#withdraw();
    return conflict(this.#context.machine, this.#record, other);
  }

  /** The claims of others that hold; those that do not are removed. */
  async #others(call: CallOptions): Promise<FoundClaim[]> {
    const { store, machine } = this.#context;
    const living: FoundClaim[] = [];
    for (const claim of await findClaims(store, machine, call)) {
      if (claim.key === this.#key) continue;
      if (await this.#holds(claim, call)) living.push(claim);
      else await store.delete(claim.key, call);
    }
    return living;
  }

  async #holds(claim: FoundClaim, call: CallOptions): Promise<boolean> {
    if (this.#context.givenUp.has(claim.key)) return false;
    const protector = claim.record?.protector;
    if (this.#mayTakeOver && protector !== undefined && protector === this.#record.protector) return false;
    const life = lifeOf(claim, this.#storeNow());
    if (life !== 'silent') return life === 'living';
    return !(await this.#staysSilent(claim, call));
  }

  /** Whether a claim is not refreshed for as long as one that lives would need. */
  async #staysSilent(claim: FoundClaim, call: CallOptions): Promise<boolean> {
    const { store, clock } = this.#context;
    const until = clock.steady() + REFRESH_MS * 1.25;
    while (clock.steady() < until) {
      await clock.sleep(LOOK_MS, call.signal);
      const stat = await store.stat(claim.key, call);
      if (!stat) return true;
      if (stat.modifiedMs !== claim.refreshedAtMs) return false;
    }
    return true;
  }

  /** The store's time. Before anything of ours is there our own clock stands in: what looks silent is watched. */
  #storeNow(): number {
    const { clock } = this.#context;
    return this.#writtenAtMs === undefined ? clock.now() : this.#storeAtMs + this.#ageMs();
  }

  #ageMs(): number {
    return this.#writtenAtMs === undefined ? Infinity : this.#context.clock.steady() - this.#writtenAtMs;
  }

  /** On a full store nothing can be written, the chain neither; when there is room again so is the claim. */
  async #writeUnlessFull(call: CallOptions): Promise<void> {
    try {
      await this.#write(call);
    } catch (error) {
      if (!isFitdocError(error, 'STORE_FULL')) throw error;
    }
  }

  async #write(call: CallOptions): Promise<void> {
    this.#context.givenUp.delete(this.#key);
    const begun = this.#context.clock.steady();
    const stat = await this.#context.store.put(this.#key, encodeClaim(this.#record), {
      ...call,
      mode: 'replace',
    });
    this.#writtenAtMs = begun;
    this.#storeAtMs = stat.modifiedMs;
  }

  /** What cannot be removed ends by itself. */
  async #withdraw(): Promise<void> {
    if (this.#writtenAtMs === undefined) return;
    this.#writtenAtMs = undefined;
    const { store, givenUp } = this.#context;
    // For good: a place that is gone says that the object is, too, and brings it back when it comes back itself.
    givenUp.add(this.#key);
    await store.delete(this.#key).catch(() => undefined);
  }
}
