import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';
import {
  readHeartbeats,
  startGuest,
  waitForHeartbeats,
  type GuestOptions,
  type RunningGuest,
} from '../../../lab/src/qemu/index.js';
import { lastMebibyte, makeTile, parts, writeFilling, type Filled } from './filling.js';

/** Increments above the base. */
export const INCREMENTS = 20;
/** The bare-metal guest proves so much from 16 MiB up; all above that is filled. */
const HEART_MIB = 8;
const FILLED_FROM_MIB = 16 + HEART_MIB;
/** Beats that the original goes on for, for those of its restored twins to be compared with. */
const BEATS_AFTER = 40;

export interface Size {
  readonly name: string;
  readonly mebibytes: number;
}

/** A guest whose chain lies in a repository, and what is known of it. The guest itself has ended. */
export interface Subject {
  readonly size: Size;
  /** Of the repository, a directory. */
  readonly location: string;
  /** A file that holds the place of those that the guest's memory was filled from. */
  readonly placeholder: string;
  /** Checksums that the original printed, by worker and beat. */
  readonly truth: ReadonlyMap<string, string>;
  /** Where the last MiB of its memory lies, and what it holds. */
  readonly end: { readonly address: number; readonly bytes: Buffer };
}

/** Starts a guest whose memory is full, takes a base and increments of it, and ends it. */
export async function makeSubject(size: Size, directory: string): Promise<Subject> {
  const tile = makeTile();
  const filled = parts(FILLED_FROM_MIB, size.mebibytes);
  const placeholder = path.join(directory, 'placeholder');
  await writeFile(placeholder, Buffer.alloc(4096));
  const files = await Promise.all(
    filled.map(async (part, index) => {
      const file = path.join(directory, `filling-${index}`);
      await writeFilling(file, tile, part);
      return file;
    }),
  );
  const guest = await startGuest(options(size, (index) => files[index]!));
  try {
    await waitForHeartbeats(guest.serialPath, (beats) => beats.length >= 4);
    const location = path.join(directory, 'repository');
    await protect(guest, location);
    const last = filled.at(-1)!;
    return {
      ...{ size, location, placeholder, truth: await truthOf(guest) },
      end: { address: (last.from + last.mebibytes - 1) * 2 ** 20, bytes: lastMebibyte(tile, last) },
    };
  } finally {
    await guest.stop();
    await Promise.all(files.map((file) => rm(file)));
  }
}

/** A QEMU that waits for the restore of a subject. */
export function startTwin({ size, placeholder }: Subject): Promise<RunningGuest> {
  // A QEMU that waits loads no file into its memory; but the devices have to be there.
  return startGuest({ ...options(size, () => placeholder), incoming: true });
}

function options({ mebibytes }: Size, fileOf: (part: number) => string): GuestOptions {
  const loaders = parts(FILLED_FROM_MIB, mebibytes).flatMap(({ from }: Filled, index) => [
    '-device',
    `loader,file=${fileOf(index)},addr=${from * 2 ** 20},force-raw=on`,
  ]);
  return {
    ...{ accel: 'kvm', memoryKib: mebibytes * 1024, firmwareHeart: { mib: HEART_MIB, pages: 50 } },
    extraArgs: ['-qmp', 'unix:monitor.sock,server=on,wait=off', ...loaders],
  };
}

async function protect(guest: RunningGuest, location: string): Promise<void> {
  const engine = createEngine();
  const store = await openStore(location, { create: true });
  const repository = await Repository.init(store);
  const { hypervisor, rest } = await hypervisorFor(`kvm:${guest.qmpPath}`);
  const machine = await hypervisor.attach(rest);
  try {
    const protection = await engine.protect(machine, repository);
    await protection.checkpoint();
    for (let i = 0; i < INCREMENTS; i++) {
      await sleep(200);
      await protection.checkpoint();
    }
    await protection.end();
    const deep = (await repository.chain(await repository.resolve('latest'))).length;
    if (deep !== INCREMENTS + 1) throw new Error(`a chain of ${deep} where ${INCREMENTS + 1} were wanted`);
  } finally {
    await machine.detach();
    await engine.close();
    await repository.close();
    await store.close();
  }
}

async function truthOf({ serialPath }: RunningGuest): Promise<Map<string, string>> {
  const before = (await readHeartbeats(serialPath)).length;
  const beats = await waitForHeartbeats(serialPath, (found) => found.length >= before + BEATS_AFTER);
  return new Map(beats.map(({ name, beat, sum }) => [`${name} ${beat}`, sum]));
}

/** Bytes of memory that making a subject takes: QEMU's copy of what it fills its memory with, and the image. */
export function neededBytes({ mebibytes }: Size): number {
  return (3.3 * mebibytes + 1024) * 2 ** 20;
}
