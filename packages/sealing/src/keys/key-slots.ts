import { randomBytes } from 'node:crypto';
import { FitdocError, isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import type { KeyRing } from './key-ring.js';
import { noSlotOpens } from './no-slot-opens.js';
import type { Holder, Secret } from './secret.js';
import { lastOfItsKey, newerKey, noMorePassphrases, tooMuchWork, wouldLose } from './refusals.js';
import { decodeSlot, encodeSlot, MOST_SLOT_BYTES, workOf, type SlotRecord } from './slot-record.js';
import { mayOpen, unwrapRing, wrapRing, type ScryptCost } from './wrap.js';

/** Where a repository's slots lie, not sealed. */
export const KEYS_PREFIX = 'keys/';

/** What all slots of passphrases may ask for together, in bytes that scrypt goes through: 128 slots of the default cost. */
const MOST_WORK = 2 ** 34;

/** A slot as it may be shown. */
export interface SlotInfo {
  readonly id: string;
  readonly kind: SlotRecord['kind'];
  readonly label: string;
  readonly createdAtMs: number;
  /** The newest key in it, and how many there are. */
  readonly keyId: string;
  readonly keys: number;
  /** Of a key. */
  readonly fingerprint?: string;
  /** Of a recipient. */
  readonly recipient?: string;
}

export interface Unlocked {
  /** The caller's to wipe. */
  readonly ring: KeyRing;
  /** The slot that the secret opened. */
  readonly slot: SlotRecord;
}

export interface KeySlotsOptions {
  /** What a passphrase costs to try. Default: 128 MiB of memory. */
  readonly scrypt?: ScryptCost | undefined;
}

export interface RotateOptions extends CallOptions {
  /** Leave out those whose secret is not given. Default false: ARGUMENT_INVALID, which names them. */
  readonly drop?: boolean;
  /**
   * Recipients whose slots are to stay, where no identity is given that opens them. Whoever can write into the store
   * can put a slot for a recipient of his: none is given a key unasked. Default: none.
   */
  readonly recipients?: readonly string[];
}

/** The slots of a repository, each an object of its own, so that two who add or remove do not meet. */
export class KeySlots {
  constructor(
    private readonly store: Store,
    private readonly repositoryId: string,
    private readonly options: KeySlotsOptions = {},
  ) {}

  /** Those of this repository that can be read. FORMAT_VERSION. */
  async list(call: CallOptions = {}): Promise<SlotRecord[]> {
    const slots: SlotRecord[] = [];
    for await (const { key } of this.store.list(KEYS_PREFIX, call)) {
      const bytes = await this.store
        .get(key, { offset: 0, length: MOST_SLOT_BYTES }, call)
        .catch((error: unknown) => {
          if (isFitdocError(error, 'STORE_NOT_FOUND')) return undefined;
          throw error;
        });
      const record = bytes && decodeSlot(bytes, key);
      if (record?.repository === this.repositoryId && keyOf(record.id) === key) slots.push(record);
    }
    return slots;
  }

  /**
   * Opens a slot with the first secret that fits one, and takes in what keys others have that the secrets open. KEY_WRONG,
   * which says what was tried and what there is; REPOSITORY_DAMAGED for slots that say what is not so, or ask for too much.
   */
  async unlock(secrets: readonly Secret[], call: CallOptions = {}): Promise<Unlocked> {
    const slots = await this.list(call);
    this.#assertBearable(slots, secrets);
    // Where a change of keys was broken off there are slots of before and after it.
    slots.sort((one, other) => other.keys - one.keys);
    for (const secret of secrets) {
      for (const slot of slots) {
        const ring = await unwrapRing(slot, secret, this.repositoryId);
        if (ring) return { ring: await this.#withKeysOf(slots, secrets, ring), slot };
      }
    }
    throw noSlotOpens(secrets, slots, this.store.location);
  }

  /** Who can write into the store can put slots there that ask for any amount of work, at every opening. */
  #assertBearable(slots: readonly SlotRecord[], secrets: readonly Secret[]): void {
    const asked = workOfAll(slots);
    if (asked > MOST_WORK && secrets.some(({ kind }) => kind === 'passphrase'))
      throw tooMuchWork(this.store.location, asked, MOST_WORK);
  }

  /** Two changes of keys at once leave slots with a key each. Of recipients' slots, which anybody can write, none counts. */
  async #withKeysOf(
    slots: readonly SlotRecord[],
    secrets: readonly Secret[],
    first: KeyRing,
  ): Promise<KeyRing> {
    let ring = first;
    for (const slot of slots) {
      for (const secret of slot.kind === 'recipient' || ring.has(slot.keyId) ? [] : secrets) {
        const more = await unwrapRing(slot, secret, this.repositoryId);
        if (!more) continue;
        const joined = ring.joined(more);
        for (const each of [ring, more]) each.wipe();
        ring = joined;
        break;
      }
    }
    return ring;
  }

  /** Gives a holder access. ARGUMENT_INVALID, also where there are more passphrases than are tried. */
  async add(ring: KeyRing, holder: Holder, label: string, call: CallOptions = {}): Promise<SlotRecord> {
    const record = await this.#make(ring, holder, label);
    // A change of keys that is broken off leaves all slots twice.
    if (workOf(record) > 0 && workOfAll([...(await this.list(call)), record]) > MOST_WORK / 2)
      throw noMorePassphrases();
    return this.#put(record, call);
  }

  async #put(record: SlotRecord, call: CallOptions): Promise<SlotRecord> {
    await this.store.put(keyOf(record.id), encodeSlot(record), call);
    return record;
  }

  /** All slots. KEY_WRONG where one has a newer key than the ring: what goes on from that would leave it out. */
  async listFor(ring: KeyRing, call: CallOptions = {}): Promise<SlotRecord[]> {
    const slots = await this.list(call);
    const ahead = slots.filter(({ keyId }) => !ring.has(keyId));
    if (ahead.length > 0) throw newerKey(ahead, this.store.location);
    return slots;
  }

  /**
   * Takes a slot away, by its id or a beginning of it that is no other's. Whoever opened it before may have kept the
   * keys: `rotate` is what ends that. ARGUMENT_INVALID for the last one, without which nobody could read, and for the
   * last one with a key.
   */
  async remove(id: string, call: CallOptions = {}): Promise<SlotRecord> {
    const slots = await this.list(call);
    const found = slots.filter((slot) => slot.id.startsWith(id));
    const [slot] = found;
    if (!slot || found.length > 1 || id === '') {
      throw new FitdocError(
        'ARGUMENT_INVALID',
        `${found.length === 0 ? 'No' : 'More than one'} key slot is called ${id}.`,
        {
          hint: 'fitdoc key list shows them.',
          details: { slots: slots.map((each) => each.id) },
        },
      );
    }
    if (slots.length === 1) {
      throw new FitdocError(
        'ARGUMENT_INVALID',
        'The last key slot is not removed: nobody could read the repository.',
        {
          hint: 'Add another first, or delete the repository.',
        },
      );
    }
    const others = slots.filter((each) => each !== slot);
    if (!others.some(({ keyId, keys }) => keyId === slot.keyId || keys > slot.keys)) throw lastOfItsKey(slot);
    await this.store.delete(keyOf(slot.id), call);
    return slot;
  }

  /**
   * Makes a new key, which seals from now on, and wraps it with those that were for every holder whose secret is
   * given and for the recipients that are named. Then the old slots go. Before anything is changed, ARGUMENT_INVALID
   * where a slot would be lost, and KEY_WRONG where a key would be.
   */
  async rotate(
    ring: KeyRing,
    secrets: readonly Secret[],
    options: RotateOptions = {},
  ): Promise<{ ring: KeyRing; slots: SlotRecord[]; dropped: SlotRecord[] }> {
    const call = options.signal ? { signal: options.signal } : {};
    const old = await this.listFor(ring, call);
    this.#assertBearable(old, secrets);
    const holders: (Holder | undefined)[] = [];
    // One after the other: each may take a GiB of memory.
    for (const slot of old) holders.push(await this.#holderOf(slot, secrets, options.recipients));
    const dropped = old.filter((_, index) => holders[index] === undefined);
    if (dropped.length === old.length) throw noSlotOpens(secrets, old, this.store.location);
    if (dropped.length > 0 && !options.drop) throw wouldLose(dropped);
    const extended = ring.extended();
    const slots: SlotRecord[] = [];
    const staying = old.flatMap(({ label }, index) => {
      const holder = holders[index];
      return holder ? [{ holder, label }] : [];
    });
    // Where this is broken off, who tries again has a secret that opens a slot with the new key.
    const ofSecrets = staying.filter(({ holder }) => holder.kind !== 'recipient');
    const others = staying.filter(({ holder }) => holder.kind === 'recipient');
    for (const { holder, label } of [...ofSecrets, ...others])
      slots.push(await this.#put(await this.#make(extended, holder, label), call));
    for (const { id } of old) await this.store.delete(keyOf(id), call);
    return { ring: extended, slots, dropped };
  }

  async #holderOf(
    slot: SlotRecord,
    secrets: readonly Secret[],
    recipients: readonly string[] = [],
  ): Promise<Holder | undefined> {
    if (slot.kind === 'recipient' && recipients.includes(slot.recipient))
      return { kind: 'recipient', recipient: slot.recipient };
    for (const secret of secrets.filter((each) => mayOpen(slot, each))) {
      const ring = await unwrapRing(slot, secret, this.repositoryId);
      ring?.wipe();
      if (ring) return secret;
    }
    return undefined;
  }

  async #make(ring: KeyRing, holder: Holder, label: string): Promise<SlotRecord> {
    const id = randomBytes(8).toString('hex');
    const place = { repositoryId: this.repositoryId, id };
    return {
      spec: 'fitdoc-key-v1',
      id,
      repository: this.repositoryId,
      label,
      createdAtMs: Date.now(),
      keyId: ring.currentId,
      keys: ring.size,
      ...(await wrapRing(ring, holder, place, this.options.scrypt)),
    };
  }
}

/** Without what only who opens it needs. */
export function shown(record: SlotRecord): SlotInfo {
  const { id, kind, label, createdAtMs, keyId, keys } = record;
  const common = { id, kind, label, createdAtMs, keyId, keys };
  if (record.kind === 'key') return { ...common, fingerprint: record.fingerprint };
  return record.kind === 'recipient' ? { ...common, recipient: record.recipient } : common;
}

function workOfAll(slots: readonly SlotRecord[]): number {
  return slots.reduce((sum, slot) => sum + workOf(slot), 0);
}

function keyOf(id: string): string {
  return `${KEYS_PREFIX}${id}.json`;
}
