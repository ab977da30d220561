import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  BLOCK_SIZE,
  FitdocError,
  throwIfAborted,
  type CallOptions,
  type DiskExtents,
  type HarvestDisk,
} from '@fitdoc/interface';
import { extentsOf, type DiskImage, type MockDisk, type TakenBlocks } from './mock-disk.js';

export interface DiskTrouble {
  /** The read of every disk fails after half of its blocks. */
  readonly fails: boolean;
  /** Milliseconds before each read. */
  readonly slowMs: number;
}

/** The disks of one capture, and what becomes of the notes of what was written. */
export class DiskCapture {
  readonly disks: readonly HarvestDisk[];
  readonly #taken: { readonly disk: MockDisk; readonly taken: TakenBlocks; readonly moment: string }[];

  /** Takes the disks as they are now: called inside the pause. Those that are not `known` come in full. */
  constructor(
    disks: readonly MockDisk[],
    known: (disk: MockDisk, taken: TakenBlocks) => boolean,
    trouble: DiskTrouble,
  ) {
    this.#taken = disks.map((disk) => ({ disk, taken: disk.takeDirty(), moment: randomUUID() }));
    this.disks = this.#taken.map(({ disk, taken, moment }) => {
      const all = taken.shrunk || !known(disk, taken);
      return { ...harvestDisk(disk.name, disk.image(), all ? undefined : taken.dirty, trouble), moment };
    });
  }

  commit(): void {
    for (const { disk, moment } of this.#taken) disk.keep(moment);
  }

  rollback(): void {
    for (const { disk, taken } of this.#taken) disk.giveBack(taken);
  }
}

function harvestDisk(
  name: string,
  image: DiskImage,
  dirty: ReadonlySet<number> | undefined,
  trouble: DiskTrouble,
): HarvestDisk {
  return {
    name,
    sizeBytes: image.sizeBytes,
    kind: dirty ? 'increment' : 'full',
    expectedBytes: (dirty ?? image.blocks).size * BLOCK_SIZE,
    read: (options = {}) => read(name, image, dirty, trouble, options),
  };
}

async function* read(
  name: string,
  image: DiskImage,
  dirty: ReadonlySet<number> | undefined,
  { fails, slowMs }: DiskTrouble,
  { signal }: CallOptions,
): DiskExtents {
  if (slowMs > 0) await sleep(slowMs, undefined, signal && { signal }).catch(() => undefined);
  const half = (dirty ?? image.blocks).size / 2;
  let given = 0;
  for (const extent of extentsOf(image, dirty)) {
    throwIfAborted(signal);
    if (fails && given >= half) throw lost(name);
    yield extent;
    given++;
  }
  throwIfAborted(signal);
  if (fails) throw lost(name);
}

function lost(name: string): FitdocError {
  return new FitdocError('CAPTURE_FAILED', `The content of disk ${name} at the capture was lost.`, {
    hint: 'This fault was asked for; take the next checkpoint.',
    retryable: true,
  });
}
