import { createHash } from 'node:crypto';
import { PAGE_SIZE, totalPages, type DeviceState, type MemoryRegion } from '@fitdoc/interface';
import { checksumText } from './checksum.js';
import { Devices } from './device-state.js';
import type { Faults } from './faults.js';
import { CHUNK_PAGES, GuestMemory } from './guest-memory.js';
import { MockDisk } from './mock-disk.js';
import { KERNEL_PAGES, regionsOf, type Shape } from './shape.js';
import type { TracePlayer } from './trace-player.js';
import { boot } from './workloads/boot.js';
import { WORKLOADS } from './workloads/index.js';

/** What the guest says of its own memory. */
export interface Proof {
  /** Whether the checksum that the guest carried along is that of its memory as it is. */
  readonly ok: boolean;
  readonly carried: string;
  readonly computed: string;
  /** Steps since the boot. */
  readonly step: number;
}

/** Bytes of a disk, unless an attach says otherwise or somebody resizes it. */
const DISK_SIZE = 2 ** 30;
/** Bytes at the beginning of a disk that the guest writes to, where the disk has them. */
const WRITTEN = 2 ** 26;

/** A machine of the mock: memory, devices and the program that it runs, without anyone attached. */
export class MockGuest {
  /** Name for people, and the identity unless `id` says otherwise. */
  readonly name: string;
  readonly id: string;
  readonly regions: readonly MemoryRegion[];
  readonly memory: GuestMemory;
  readonly devices: Devices;
  readonly disks: readonly MockDisk[];
  /** What goes wrong; set it at any time. */
  faults: Faults = {};
  /** The recording that the guest replays, if it does. */
  player: TracePlayer | undefined;
  #paused = false;
  #standing: string | undefined;
  readonly #death = new AbortController();

  private constructor(name: string, id: string, devices: Devices) {
    this.name = name;
    this.id = id;
    this.devices = devices;
    this.regions = regionsOf(devices.board.shape);
    this.memory = new GuestMemory(totalPages(this.regions));
    const { disks } = devices.board.shape;
    this.disks = Array.from({ length: disks }, (_, index) => new MockDisk(`disk${index}`, DISK_SIZE));
  }

  /** A machine fresh from its boot, at step 0; the same for the same shape. */
  static boot(name: string, shape: Shape, recording?: string): MockGuest {
    const devices = new Devices({ shape, ...(recording === undefined ? {} : { recording }) });
    const guest = new MockGuest(name, name, devices);
    if (shape.workload !== 'trace') boot(guest.memory, shape, guest.regions);
    return guest;
  }

  /**
   * A machine with the given device state and empty memory, which the caller fills.
   * Errors: MACHINE_INCOMPATIBLE.
   */
  static blank(name: string, id: string, state: readonly DeviceState[]): MockGuest {
    return new MockGuest(name, id, Devices.load(state));
  }

  /**
   * Ends the filling of a blank machine: what the guest knows of its memory is from now on what its device
   * state says, so that `proof` tells whether the caller filled in everything.
   */
  filled(): void {
    Object.assign(this.memory.sum, this.devices.savedSum);
    this.memory.dirty.clearAll();
  }

  get shape(): Shape {
    return this.devices.board.shape;
  }

  /** Steps since the boot. */
  get step(): number {
    return this.devices.step;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get dead(): boolean {
    return this.#death.signal.aborted;
  }

  /** Aborted when the machine ends. */
  get death(): AbortSignal {
    return this.#death.signal;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  /** What an operator, or the guest itself, has made of it (`paused`, `suspended`); undefined while it may run. */
  get standing(): string | undefined {
    return this.#standing;
  }

  /** Makes the guest stand, as its operator does (`paused`) or as it does itself; `goOn` ends that, nothing else does. */
  stand(state = 'paused'): void {
    this.#standing = state;
  }

  goOn(): void {
    this.#standing = undefined;
  }

  /** Ends the machine, as a crash of its host process would. */
  kill(): void {
    this.#death.abort();
  }

  /** Lets the guest run for `steps` steps; a paused or dead one stands still. */
  run(steps = 1): void {
    for (let i = 0; i < steps && !this.#paused && this.#standing === undefined && !this.dead; i++)
      this.#step();
  }

  /** A copy of `count` pages from `gfn`. */
  read(gfn: number, count = 1): Uint8Array {
    const bytes = new Uint8Array(count * PAGE_SIZE);
    this.memory.copyTo(gfn, count, bytes);
    return bytes;
  }

  /** Writes bytes into one page, as a program of the guest would. Errors: ARGUMENT_INVALID beyond memory. */
  write(gfn: number, offset: number, bytes: Uint8Array): void {
    const page = this.memory.peek(gfn) ? this.read(gfn) : new Uint8Array(PAGE_SIZE);
    page.set(bytes, offset);
    this.memory.writePage(gfn, page);
  }

  /** Writes to a page with what it holds already. */
  touch(gfn: number): void {
    this.memory.touch(gfn);
  }

  saveDevices(): DeviceState[] {
    return this.devices.save(this.memory.sum);
  }

  /** Computes the guest's checksum again from every byte that it has. */
  proof(): Proof {
    const carried = checksumText(this.memory.sum);
    const computed = checksumText(this.memory.recompute());
    return { ok: carried === computed, carried, computed, step: this.step };
  }

  /**
   * A BLAKE2b hash of memory and devices, 128 hex digits: equal for machines that are the same bit for bit,
   * wherever their memory was ever allocated.
   */
  hash(parts: 'machine' | 'memory' = 'machine'): string {
    const hash = createHash('blake2b512');
    const page = new Uint32Array(1);
    for (const chunk of this.memory.allocatedChunks()) {
      const bytes = this.memory.chunkBytes(chunk) as Uint8Array;
      for (let offset = 0; offset < bytes.length; offset += PAGE_SIZE) {
        page[0] = chunk * CHUNK_PAGES + offset / PAGE_SIZE;
        if (this.memory.isZero(page[0])) continue;
        hash.update(page).update(bytes.subarray(offset, offset + PAGE_SIZE));
      }
    }
    if (parts === 'machine')
      for (const { name, bytes } of this.saveDevices()) hash.update(name).update(bytes);
    return hash.digest('hex');
  }

  #step(): void {
    const { workload } = this.shape;
    if (workload === 'trace') {
      this.player?.step(this);
      return;
    }
    this.devices.advance();
    const { memory, shape, step } = this;
    const heap = { start: KERNEL_PAGES, pages: shape.working / PAGE_SIZE };
    const { random, registers } = this.devices;
    WORKLOADS[workload]({ memory, random, registers, shape, heap, step });
    memory.writeWord(0, 0, step, 0);
    memory.writeWord(1, step % 512, step, random.next());
    this.#writeDisks(step);
    const video = this.regions.find(({ name }) => name === 'video');
    if (video) memory.writeWord(video.firstGfn + (step % video.pages), 0, step, 0);
  }

  /** A few sectors a step, here and there; the same for the same step. */
  #writeDisks(step: number): void {
    for (const [index, disk] of this.disks.entries()) {
      const sectors = Math.floor(Math.min(disk.sizeBytes, WRITTEN) / 512);
      for (let i = 0; i < 4 && sectors > 0; i++) {
        const sector = (step * 7919 + i * i * 104_729 + index) % sectors;
        disk.write(sector * 512, new Uint8Array(512).fill(step & 255).fill(i + 1, 0, 8));
      }
    }
  }
}
