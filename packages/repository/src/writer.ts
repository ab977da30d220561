import { randomBytes } from 'node:crypto';
import { writeCheckpoint, type BatchCodec, type ContentItem, type NewCheckpointHeader } from '@fitdoc/format';
import { FitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import type { Catalogue } from './catalogue.js';
import { shortId, supersededHashes, type CheckpointEntry } from './entry.js';
import { checkpointKey } from './layout.js';
import type { LockManager } from './lock-manager.js';

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
  constructor(
    private readonly store: Store,
    private readonly catalogue: Catalogue,
    private readonly locks: LockManager,
  ) {}

  async put(
    header: NewCheckpointHeader,
    content: AsyncIterable<ContentItem>,
    options: PutCheckpointOptions,
  ): Promise<CheckpointEntry> {
    const machine = header.machine.id;
    const lease = await this.locks.share(machine, 'checkpoint', options);
    try {
      await this.#checkParent(header, options.signal);
      const entry = await this.#store(header, content, options);
      if (!lease.isFresh()) await this.#undoOrphan(header, entry);
      this.catalogue.add(entry);
      return entry;
    } finally {
      await lease.release();
    }
  }

  async #store(
    header: NewCheckpointHeader,
    content: AsyncIterable<ContentItem>,
    options: PutCheckpointOptions,
  ): Promise<CheckpointEntry> {
    const { signal, codec } = options;
    const call = signal ? { signal } : {};
    const output = writeCheckpoint(header, content, codec ? { ...call, codec } : call);
    const place = {
      machineId: header.machine.id,
      sequence: header.sequence,
      createdAtMs: header.createdAtMs,
    };
    const key = checkpointKey(place, randomBytes(6).toString('hex'));
    const hint = options.sizeHint === undefined ? {} : { sizeHint: options.sizeHint };
    const stat = await this.store.put(key, counted(output.stream, options), { ...call, ...hint });
    const summary = await output.summary;
    if (stat.size === summary.bytes) return { ...summary, key };
    await this.store.delete(key).catch(() => undefined);
    throw new FitdocError('STORE_UNAVAILABLE', `The store kept ${stat.size} of ${summary.bytes} bytes.`, {
      hint: 'The store is broken: check the file system or the server behind it.',
      details: { key },
    });
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
    const fits = (entry: CheckpointEntry) =>
      entry.machineId === machine && (entry.contentHash === hash || supersededHashes(entry).includes(hash));
    for (const entry of this.catalogue.known()) {
      if (fits(entry) && (await this.store.stat(entry.key, call))) return true;
    }
    return (await this.catalogue.listIntact({ machine, ...call })).some(fits);
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
