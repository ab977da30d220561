import type { CallOptions } from '@fitdoc/interface';
import {
  KeyRing,
  shown,
  type Holder,
  type KeySlots,
  type RotateOptions,
  type Secret,
  type SlotInfo,
} from '@fitdoc/sealing';

/** Keeps all others from changing who can open the repository. REPOSITORY_LOCKED. */
export type KeysLock = (call: CallOptions) => Promise<{ release(): Promise<void> }>;

/** Who can open an encrypted repository, as seen by one who has opened it. One at a time changes it: REPOSITORY_LOCKED. */
export class RepositoryKeys {
  readonly #ring: KeyRing;
  readonly #slots: KeySlots;
  #lock: KeysLock = async () => ({ release: async () => undefined });

  constructor(ring: KeyRing, slots: KeySlots) {
    this.#ring = ring;
    this.#slots = slots;
  }

  /** Changes are under this lock from now on. */
  lockBy(lock: KeysLock): void {
    this.#lock = lock;
  }

  /** The id of the key that seals what is put now. */
  get currentId(): string {
    return this.#ring.currentId;
  }

  /** Whether what is sealed with this key can be read. */
  has(keyId: string): boolean {
    return this.#ring.has(keyId);
  }

  async list(call: CallOptions = {}): Promise<SlotInfo[]> {
    return (await this.#slots.list(call)).map(shown);
  }

  /** Gives a holder access. ARGUMENT_INVALID; KEY_WRONG where the repository has got a newer key since it was opened. */
  add(holder: Holder, label = '', call: CallOptions = {}): Promise<SlotInfo> {
    return this.#alone(call, async () => {
      await this.#slots.listFor(this.#ring, call);
      return shown(await this.#slots.add(this.#ring, holder, label, call));
    });
  }

  /** Takes a slot away, by its id or a beginning of it. ARGUMENT_INVALID for the last one. */
  remove(id: string, call: CallOptions = {}): Promise<SlotInfo> {
    return this.#alone(call, async () => shown(await this.#slots.remove(id, call)));
  }

  /**
   * A new key for what is put from now on by who opens the repository then; this object goes on with the old one.
   * See `KeySlots.rotate`. ARGUMENT_INVALID.
   */
  rotate(
    secrets: readonly Secret[],
    options: RotateOptions = {},
  ): Promise<{ keyId: string; slots: SlotInfo[]; dropped: SlotInfo[] }> {
    return this.#alone(options, async () => {
      const { ring, slots, dropped } = await this.#slots.rotate(this.#ring, secrets, options);
      const keyId = ring.currentId;
      ring.wipe();
      return { keyId, slots: slots.map(shown), dropped: dropped.map(shown) };
    });
  }

  /** The same keys once more, the caller's to wipe. */
  copyRing(): KeyRing {
    const bytes = this.#ring.encode();
    const ring = KeyRing.decode(bytes);
    bytes.fill(0);
    return ring;
  }

  async #alone<T>({ signal }: CallOptions, change: () => Promise<T>): Promise<T> {
    const lock = await this.#lock(signal ? { signal } : {});
    try {
      return await change();
    } finally {
      await lock.release();
    }
  }

  wipe(): void {
    this.#ring.wipe();
  }
}
