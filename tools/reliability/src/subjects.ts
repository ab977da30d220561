import { setTimeout as sleep } from 'node:timers/promises';
import { restore, type CheckpointSource, type Engine } from '@fitdoc/engine';
import { hypervisor } from '@fitdoc/hypervisor-kvm';
import { MockHypervisor } from '@fitdoc/hypervisor-mock';
import { PAGE_SIZE } from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import {
  startGuest,
  waitForHeartbeats,
  type GuestOptions,
  type RunningGuest,
} from '../../lab/src/qemu/index.js';
import { beatIn, HeartModel, PROVEN } from './heart-model.js';
import { HeartbeatTail } from './heartbeat-tail.js';

/** A machine that the victim protects. */
export interface Subject {
  /** Its name in the configuration, and its identity in the repository. */
  readonly name: string;
  readonly location: string;
  /**
   * Milliseconds until the guest was seen to run, its memory intact. Rejects when it stands or is damaged. Absent
   * for a machine that ends with the victim.
   */
  beatsOn?(timeoutMs: number): Promise<number>;
  /** Reads a checkpoint whole; rejects unless it is what the machine had. */
  prove(source: CheckpointSource): Promise<void>;
  /** Brings a checkpoint back on a real hypervisor and sees it run; absent where there is none. */
  bringBack?(engine: Engine, repository: Repository, entry: CheckpointEntry): Promise<void>;
  stop(): Promise<void>;
}

/** A machine of the mock: it ends with the victim, and each checkpoint carries its own checksum. */
export function mockSubject(name: string, seed: number): Subject {
  const shape = 'workload=database&memory=8M&resident=4M&working=2M&rate=150&tick=20ms';
  return {
    name,
    location: `mock:${name}?${shape}&seed=${seed}`,
    prove: async (source) => {
      const report = await new MockHypervisor().restore('proof', source);
      if (report.state !== 'running') throw new Error(`the mock machine is ${report.state}`);
    },
    stop: async () => undefined,
  };
}

/** How long a restored guest may take to its first sign of life. */
const FIRST_BEAT_MS = 60_000;

/** A bare-metal guest in a real QEMU on KVM, which lives through all rounds. */
export class KvmSubject implements Subject {
  readonly name: string;
  readonly location: string;
  readonly #guest: RunningGuest;
  readonly #options: GuestOptions;
  readonly #model = new HeartModel();
  readonly #console: HeartbeatTail;

  private constructor(name: string, guest: RunningGuest, options: GuestOptions) {
    this.name = name;
    this.location = `kvm:${guest.qmpPath}`;
    this.#guest = guest;
    this.#options = options;
    this.#console = new HeartbeatTail(guest.serialPath);
  }

  static async boot(name: string): Promise<KvmSubject> {
    const options: GuestOptions = { accel: 'kvm', machine: 'pc-i440fx-7.2', memoryKib: 64 * 1024, name };
    const guest = await startGuest(options);
    const subject = new KvmSubject(name, guest, options);
    try {
      await subject.#awaitBeats(3, FIRST_BEAT_MS);
      return subject;
    } catch (error) {
      await guest.stop();
      throw error;
    }
  }

  async beatsOn(timeoutMs: number): Promise<number> {
    const from = performance.now();
    await this.#readBeats();
    // The first one may have been on its way when the guest was stopped.
    await this.#awaitBeats(2, timeoutMs);
    return performance.now() - from;
  }

  async prove(source: CheckpointSource): Promise<void> {
    const region = source.info.regions.find(({ name }) => name === source.info.platform['mainRam']);
    if (!region) throw new Error('the checkpoint names no main memory');
    const low = new Uint8Array(0x60 * PAGE_SIZE);
    const proven = new Uint8Array(PROVEN.pages * PAGE_SIZE);
    for await (const { gfn, bytes } of source.pages()) {
      const page = gfn - region.firstGfn;
      if (page < 0 || page >= region.pages) continue;
      place(low, bytes, page * PAGE_SIZE);
      place(proven, bytes, (page - PROVEN.firstPage) * PAGE_SIZE);
    }
    const beat = beatIn(low);
    if (beat === undefined) throw new Error('the restored memory has no heart');
    if (!this.#model.isMomentOf(beat, proven))
      throw new Error(`the restored memory is not what the guest had at beat ${beat}`);
  }

  async bringBack(engine: Engine, repository: Repository, entry: CheckpointEntry): Promise<void> {
    const target = await startGuest({ ...this.#options, incoming: true });
    try {
      const location = target.qmpPath;
      await restore(engine, { repository, entry, hypervisor, location });
      const [first] = await waitForHeartbeats(target.serialPath, (beats) => beats.length > 2, FIRST_BEAT_MS);
      if (!first?.intact || first.sum !== this.#model.sumAt(first.beat))
        throw new Error(`the restored guest came back with another memory: ${JSON.stringify(first)}`);
    } finally {
      await target.stop();
    }
  }

  async stop(): Promise<void> {
    await this.#guest.stop();
  }

  /** Waits for so many further beats. */
  async #awaitBeats(count: number, timeoutMs: number): Promise<void> {
    let ended: string | undefined;
    void this.#guest.exited.then((how) => (ended = how));
    const deadline = Date.now() + timeoutMs;
    for (let seen = 0; ; await sleep(20)) {
      seen += await this.#readBeats();
      if (seen >= count) return;
      if (ended !== undefined)
        throw new Error(`QEMU of ${this.name} ended (${ended}): ${await this.#guest.errors()}`);
      if (Date.now() > deadline) throw new Error(`${this.name} stands: ${seen} beats in ${timeoutMs} ms`);
    }
  }

  /** Takes in what the guest printed since; each beat must be intact and carry the sum that it must have. */
  async #readBeats(): Promise<number> {
    const beats = await this.#console.read();
    for (const { beat, sum, intact } of beats)
      if (!intact || sum !== this.#model.sumAt(beat)) throw new Error(`${this.name}'s beat ${beat} is wrong`);
    return beats.length;
  }
}

/** Copies the part of `bytes` that falls into `target` when they begin at its byte `offset`. */
function place(target: Uint8Array, bytes: Uint8Array, offset: number): void {
  const from = Math.max(0, -offset);
  const to = Math.min(bytes.length, target.length - offset);
  if (from < to) target.set(bytes.subarray(from, to), offset + from);
}
