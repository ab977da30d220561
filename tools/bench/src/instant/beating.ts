import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';
import {
  readHeartbeats,
  startGuest,
  waitForHeartbeats,
  type GuestOptions,
  type Heartbeat,
  type RunningGuest,
} from '../../../lab/src/qemu/index.js';
import { Monitor } from '../end-to-end/monitor.js';

/** Between two looks at a console or a socket, milliseconds. */
const LOOK_MS = 2;
const INCREMENTS = 5;

export function beatingGuest(mebibytes: number, more: Partial<GuestOptions> = {}): Promise<RunningGuest> {
  return startGuest({
    ...{ accel: 'kvm', machine: 'pc', name: 'beating', memoryKib: mebibytes * 1024 },
    // Little to prove in a beat: where KVM emulates each instruction, more of it would be most of what is measured.
    firmwareHeart: { mib: 2, pages: 50, words: 1 },
    ...more,
  });
}

/** Has a guest beat, and puts a base and some increments of it into a repository, a directory. */
export async function protectBeating(mebibytes: number, location: string): Promise<void> {
  const guest = await beatingGuest(mebibytes);
  const engine = createEngine();
  const store = await openStore(location, { create: true });
  const repository = await Repository.init(store);
  try {
    await waitForHeartbeats(guest.serialPath, (beats) => beats.length >= 4);
    const { hypervisor, rest } = await hypervisorFor(`kvm:${guest.qmpPath}`);
    const machine = await hypervisor.attach(rest);
    const protection = await engine.protect(machine, repository);
    for (let i = 0; i <= INCREMENTS; i++) {
      await protection.checkpoint();
      await sleep(200);
    }
    await protection.end();
    await machine.detach();
  } finally {
    await engine.close();
    await repository.close();
    await store.close();
    await guest.stop();
  }
}

/** Waits until a QEMU answers at its QMP socket, which is there before anybody listens at it. */
export async function answers(qmpPath: string): Promise<void> {
  for (;;) {
    const monitor = await Monitor.connect(qmpPath).catch(() => undefined);
    if (monitor) return monitor.close();
    await sleep(LOOK_MS);
  }
}

/** Waits for a console's first beat, which has to be right; `performance.now()` when it was seen. */
export async function firstBeat(console_: string): Promise<number> {
  let beats: Heartbeat[] = [];
  while (beats.length === 0) {
    beats = await readHeartbeats(console_);
    if (beats.length === 0) await sleep(LOOK_MS);
  }
  const at = performance.now();
  if (!beats[0]!.intact) throw new Error(`a guest found its memory wrong: ${console_}`);
  return at;
}
