import { randomBytes } from 'node:crypto';
import { writeCheckpoint, type BatchCodec, type ContentItem, type NewCheckpointHeader } from '@fitdoc/format';
import { FitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import type { Catalogue } from './catalogue/catalogue.js';
import { entryOf, shortId, type CheckpointEntry } from './catalogue/entry.js';
import { checkpointKey, type CheckpointKey } from './layout.js';
import type { WriterLease } from './locks/lease.js';
import type { LockManager } from './locks/lock-manager.js';

export interface PutCheckpointOptions extends CallOptions {
  /** Encodes the device state. Default: the format's. */
  readonly codec?: BatchCodec;
  /** About how many bytes the object will have. */
  readonly sizeHint?: number;
  /** Milliseconds to wait for a prune of the machine. Default: the repository's. */
  readonly waitMs?: number;
}

/** Puts checkpoints into the store. */
export class CheckpointPutter {
  /** The number of the last derived object of each machine that this process put: keys never fall back. */
  readonly #lastDerived = new Map<string, number>();

  constructor(
    private readonly store: Store,
    private readonly catalogue: Catalogue,
    private readonly locks: LockManager,
    /** Says in the repository that it may hold derived objects. */
    private readonly allowDerived: (options: CallOptions) => Promise<void>,
  ) {}

  async put(
    header: NewCheckpointHeader,
    content: AsyncIterable<ContentItem>,
    options: PutCheckpointOptions,
  ): Promise<CheckpointEntry> {
    if (header.state !== undefined) await this.allowDerived(options.signal ? { signal: options.signal } : {});
    const lease = await this.#lease(header, options);
    let entry: CheckpointEntry | undefined;
    try {
      await this.#checkParent(header, options.signal);
      entry = await this.#store(header, content, options);
      if (!lease.isFresh()) await this.#undoOrphan(header, entry);
      this.catalogue.add(entry);
      return entry;
    } finally {
      await lease.release(entry);
    }
  }

  /** A machine's writer goes on from what it writes; who merges does not, and writes far behind it. */
  async #lease(header: NewCheckpointHeader, options: PutCheckpointOptions): Promise<WriterLease> {
    const standsOn = await this.#standsOn(header, options.signal);
    const machine = header.machine.id;
    if (header.state !== undefined) return this.locks.hold(machine, 'merge', standsOn.objects, options);
    return this.locks.write(machine, standsOn, options);
  }

  /** What must not be removed while the checkpoint is written. */
  async #standsOn(
    { machine, parent, sequence }: NewCheckpointHeader,
    signal: AbortSignal | undefined,
  ): Promise<{ objects: readonly CheckpointEntry[]; sequence: number }> {
    if (!parent) return { objects: [], sequence };
    let objects = this.catalogue.showing(machine.id, parent.contentHash);
    if (objects.length === 0) {
      await this.catalogue.listIntact({ machine: machine.id, ...(signal ? { signal } : {}) });
      objects = this.catalogue.showing(machine.id, parent.contentHash);
    }
    return { objects, sequence: Math.min(sequence, ...objects.map((entry) => entry.sequence)) };
  }

  async #store(
    header: NewCheckpointHeader,
    content: AsyncIterable<ContentItem>,
    options: PutCheckpointOptions,
  ): Promise<CheckpointEntry> {
    const { signal, codec } = options;
    const call = signal ? { signal } : {};
    const output = writeCheckpoint(header, content, codec ? { ...call, codec } : call);
    const key = checkpointKey(await this.#placeOf(header, call), randomBytes(6).toString('hex'));
    const hint = options.sizeHint === undefined ? {} : { sizeHint: options.sizeHint };
    const body = counted(output.stream, options);
    const stat = await this.catalogue.admit(key, () => this.store.put(key, body, { ...call, ...hint }), call);
    const summary = await output.summary;
    if (stat.size === summary.bytes) return entryOf(summary, key);
    await this.store.delete(key).catch(() => undefined);
    throw new FitdocError('STORE_UNAVAILABLE', `The store kept ${stat.size} of ${summary.bytes} bytes.`, {
      hint: 'The store is broken: check the file system or the server behind it.',
      details: { key },
    });
  }

  async #placeOf(header: NewCheckpointHeader, call: CallOptions): Promise<CheckpointKey> {
    const { createdAtMs, sequence } = header;
    const machineId = header.machine.id;
    if (header.state === undefined) return { machineId, sequence, createdAtMs };
    const last = parseInt((await this.catalogue.highestDerived(machineId, call)) || '-1', 10);
    const highest = Math.max(last, this.#lastDerived.get(machineId) ?? -1);
    this.#lastDerived.set(machineId, highest + 1);
    return { machineId, sequence: highest + 1, createdAtMs, derived: true };
  }

  /** An increment to what is not there could never be restored. */
  async #checkParent(header: NewCheckpointHeader, signal: AbortSignal | undefined): Promise<void> {
    if (header.parent && !(await this.#find(header.machine.id, header.parent.contentHash, signal))) {
      throw new FitdocError('CHECKPOINT_NOT_FOUND', `The parent ${shortId(header.parent.id)} is not there.`, {
        hint: 'It was deleted or is damaged. Take a base instead, or resume from the latest checkpoint.',
        details: { parentId: header.parent.id },
      });
    }
  }

  async #find(machine: string, hash: string, signal: AbortSignal | undefined): Promise<boolean> {
    const call = signal ? { signal } : {};
    for (const known of [true, false]) {
      if (!known) await this.catalogue.listIntact({ machine, ...call });
      for (const entry of this.catalogue.showing(machine, hash)) {
        if (await this.store.stat(entry.key, call)) return true;
        this.catalogue.forget(entry.key);
      }
    }
    return false;
  }

  /** The lock may have run out while we wrote, and a prune may have taken the parent. */
  async #undoOrphan(header: NewCheckpointHeader, entry: CheckpointEntry): Promise<void> {
    if (!header.parent || (await this.#find(header.machine.id, header.parent.contentHash, undefined))) return;
    await this.store.delete(entry.key);
    throw new FitdocError('REPOSITORY_LOCKED', 'The parent was removed while the checkpoint was written.', {
      retryable: true,
      hint: 'This process was stopped for longer than its lock lives. Take a base instead.',
      details: { parentId: header.parent.id },
    });
  }
}

async function* counted(stream: AsyncIterable<Uint8Array>, options: CallOptions): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of stream) {
    yield chunk;
    done += chunk.length;
    options.onProgress?.({ phase: 'storing the checkpoint', done, unit: 'bytes' });
  }
}
