import { BLOCK_SIZE, FitdocError, type CallOptions, type Harvest, type HarvestDisk } from '@fitdoc/interface';
import type { ContentItem, StoredDisk } from '@fitdoc/format';
import { mapOrdered } from '../workers/ordered.js';
import type { WorkerCalls } from '../workers/pool.js';
import type { EncodeSettings } from '../workers/tasks.js';
import type { BlockBatch } from './block-batch.js';
import { BlockDigests } from './block-digests.js';
import { changedBlocks } from './changed-blocks.js';

/** What the chain's head holds of a disk. */
export interface KnownDisk {
  readonly sizeBytes: number;
  readonly digests: BlockDigests;
  /** As the harvest had it that the head holds. */
  readonly moment: string | undefined;
}

/** By name. */
export type KnownDisks = ReadonlyMap<string, KnownDisk>;

/** For `CaptureOptions.diskMoments`. */
export function momentsOf(known: KnownDisks): ReadonlyMap<string, string> {
  return new Map([...known].flatMap(([name, { moment }]) => (moment === undefined ? [] : [[name, moment]])));
}

export interface DiskCost {
  readonly name: string;
  /** Bytes that the hypervisor delivered. */
  readBytes: number;
  /** Blocks of them that are other than what the chain had. */
  changedBlocks: number;
}

interface Part {
  readonly harvest: HarvestDisk;
  readonly stored: StoredDisk;
  readonly digests: BlockDigests;
  readonly cost: DiskCost;
}

export interface EncodeBlocksOptions extends CallOptions {
  readonly pool: WorkerCalls;
  readonly settings: EncodeSettings;
}

/** The disks of one harvest on their way into a checkpoint. Ends with `commit` or `rollback`. */
export class DiskHarvest {
  readonly #parts: readonly Part[];
  readonly #over = new AbortController();

  /**
   * `known` is what the head holds. CAPTURE_FAILED where a disk comes as an increment to what the chain does not
   * have: take all of it then.
   */
  constructor({ disks = [] }: Pick<Harvest, 'disks'>, known: KnownDisks) {
    this.#parts = disks.map((harvest) => {
      const { name, sizeBytes, moment } = harvest;
      const before = known.get(name);
      const goesOn = before !== undefined && before.sizeBytes <= sizeBytes;
      if (harvest.kind === 'increment' && !goesOn) throw unknownDisk(name);
      return {
        harvest,
        stored: {
          ...{ name, sizeBytes, kind: goesOn ? 'increment' : 'full' },
          ...(moment !== undefined && { moment }),
        },
        digests: goesOn ? before.digests : new BlockDigests(sizeBytes),
        cost: { name, readBytes: 0, changedBlocks: 0 },
      };
    });
  }

  /** For the header. */
  get stored(): readonly StoredDisk[] | undefined {
    return this.#parts.length > 0 ? this.#parts.map(({ stored }) => stored) : undefined;
  }

  get costs(): readonly DiskCost[] {
    return this.#parts.map(({ cost }) => cost);
  }

  /** Reads all disks and gives what changed, encoded. */
  async *content(options: EncodeBlocksOptions): AsyncGenerator<ContentItem> {
    const { pool, settings, signal } = options;
    for (const [disk, part] of this.#parts.entries()) {
      const encode = async (batch: BlockBatch): Promise<ContentItem> => {
        const { span, ...columns } = batch;
        const encoded = await pool.blocks({ kind: 'blocks', ...columns, settings }, signal);
        return { type: 'blocks', disk, span, encoded, gfns: columns.gfns };
      };
      for await (const item of mapOrdered(this.#changed(part, options), pool.workers * 2, encode)) yield item;
    }
  }

  /** The checkpoint is durable: what the head holds from now on. */
  commit(): KnownDisks {
    for (const { digests } of this.#parts) digests.commit();
    return new Map(
      this.#parts.map(({ stored: { name, sizeBytes, moment }, digests }) => [
        name,
        { sizeBytes, digests, moment },
      ]),
    );
  }

  rollback(): void {
    // The store may have given up while the next block was read: that must not be noted any more.
    this.#over.abort();
    for (const { digests } of this.#parts) digests.rollback();
  }

  async *#changed(
    { harvest, stored, digests, cost }: Part,
    options: EncodeBlocksOptions,
  ): AsyncGenerator<BlockBatch> {
    const { signal, onProgress } = options;
    const { name, sizeBytes, expectedBytes } = harvest;
    const batches = changedBlocks(harvest.read(signal ? { signal } : {}), {
      digests,
      blocks: Math.ceil(sizeBytes / BLOCK_SIZE),
      standsOnZeros: stored.kind === 'full',
      gapsAreZero: harvest.kind === 'full' && stored.kind === 'increment',
      over: this.#over.signal,
      onRead: (bytes) => {
        cost.readBytes += bytes;
        const total = expectedBytes === undefined ? {} : { total: Math.max(expectedBytes, cost.readBytes) };
        onProgress?.({ phase: `storing disk ${name}`, done: cost.readBytes, ...total, unit: 'bytes' });
      },
    });
    for await (const batch of batches) {
      cost.changedBlocks += batch.gfns.length;
      yield batch;
    }
  }
}

function unknownDisk(name: string): FitdocError {
  return new FitdocError(
    'CAPTURE_FAILED',
    `The disk ${name} came as an increment to what the chain does not have.`,
    {
      hint: 'The next checkpoint takes all of it.',
      retryable: true,
      details: { disk: name },
    },
  );
}
