import { deleteAll, FitdocError, isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import { z } from 'zod';
import type { Clock } from '../clock.js';
import { LOCKS_PREFIX, machineSegment } from '../layout.js';
import { findClaims, lifeOf } from './claim-record.js';
import { shown, takenBefore, type ShownWriter } from './conflict.js';
import type { Takeover } from './takeover.js';

const schema = z.object({
  state: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  token: z.string(),
  place: z.string(),
  atMs: z.number(),
});

export interface TakeoverRequest extends Pick<Takeover, 'state' | 'token' | 'place'> {
  /** The takeover that it comes after, as `latest` gave it: somebody else's that came first wins. */
  readonly after: Takeover | undefined;
}

const PREFIX = `${LOCKS_PREFIX}takeovers/`;

/** Takeovers of machines, as objects in the store that are put once, one a number: of two that meet one fails. */
export class Takeovers {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** CAPABILITY_MISSING for a store in which two could take one machine over at the same moment. */
  check(): void {
    if (this.#store.supports.conditionalPut) return;
    throw new FitdocError(
      'CAPABILITY_MISSING',
      'In this store two standbys of one machine could both be promoted: it has no put that fails where an object is there.',
      {
        hint: 'Use a server, or a file system, that has it (of S3: conditionalPut = "require", not "weak"); copy the repository there with fitdoc copy.',
        details: { capability: 'conditionalPut' },
      },
    );
  }

  /** The last takeover of a machine. Errors: the store's. */
  async latest(machine: string, options: CallOptions = {}): Promise<Takeover | undefined> {
    const call = callOf(options);
    let last = 0;
    for await (const { key } of this.#store.list(folderOf(machine), call))
      last = Math.max(last, Number(/(\d+)\.json$/.exec(key)?.[1] ?? 0));
    if (last === 0) return undefined;
    const bytes = await this.#store.get(keyOf(machine, last), undefined, call).catch((error: unknown) => {
      if (isFitdocError(error, 'STORE_NOT_FOUND')) return undefined;
      throw error;
    });
    // It was withdrawn meanwhile.
    if (!bytes) return this.latest(machine, options);
    return { generation: last, ...decode(bytes, machine) };
  }

  /**
   * Takes a machine over, and its chain from whoever wrote it: those are told when they next look, within seconds.
   * Errors: MACHINE_CONFLICT (another came first), CAPABILITY_MISSING (see `check`); the store's.
   */
  async take(machine: string, request: TakeoverRequest, options: CallOptions = {}): Promise<Takeover> {
    const call = callOf(options);
    const { state, token, place, after } = request;
    if (state !== undefined) this.check();
    const record = { ...(state !== undefined && { state }), token, place, atMs: this.#clock.now() };
    const generation = (after?.generation ?? 0) + 1;
    const bytes = new TextEncoder().encode(JSON.stringify(record));
    try {
      await this.#store.put(keyOf(machine, generation), bytes, { ...call, mode: 'absent' });
    } catch (error) {
      if (!isFitdocError(error, 'STORE_EXISTS')) throw error;
      const first = await this.latest(machine, options);
      if (!first || first.token !== token) throw takenBefore(machine, first);
    }
    await this.#dropClaims(machine, call);
    return { generation, ...record };
  }

  /** Undoes a takeover after which no guest ran. One that another came after stays. Errors: the store's. */
  async withdraw(machine: string, { generation, token }: Takeover, options: CallOptions = {}): Promise<void> {
    const last = await this.latest(machine, options);
    if (last?.generation !== generation || last.token !== token) return;
    await this.#store.delete(keyOf(machine, generation), { ...callOf(options), forGood: true });
  }

  /** Who gave a sign of life lately as the writer of a machine's chain: a guest that may still run. */
  async lastWriters(machine: string, options: CallOptions = {}): Promise<ShownWriter[]> {
    const found = await findClaims(this.#store, machine, callOf(options));
    const now = this.#clock.now();
    return found.flatMap((claim) =>
      claim.record && lifeOf(claim, now) === 'living' ? [shown(claim.record)] : [],
    );
  }

  async #dropClaims(machine: string, call: CallOptions): Promise<void> {
    const found = await findClaims(this.#store, machine, call);
    await deleteAll(
      this.#store,
      found.map(({ key }) => key),
      call,
    );
  }
}

function folderOf(machine: string): string {
  return `${PREFIX}${machineSegment(machine)}/`;
}

function keyOf(machine: string, generation: number): string {
  return `${folderOf(machine)}${String(generation).padStart(8, '0')}.json`;
}

function decode(bytes: Uint8Array, machine: string): z.infer<typeof schema> {
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (cause) {
    throw new FitdocError('REPOSITORY_DAMAGED', `Who took ${machine} over cannot be read.`, {
      cause,
      hint: 'Nobody can tell who may write its chain: see locks/takeovers in the store.',
    });
  }
}

function callOf({ signal }: CallOptions): CallOptions {
  return signal ? { signal } : {};
}
