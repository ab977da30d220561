import { FitdocError, type DeviceState } from '@fitdoc/interface';
import { Random } from './random.js';
import type { Shape } from './shape.js';

const VERSION = 1;
/** Sizes in bytes of the devices that a guest only now and then changes. */
const DEVICES = { interrupts: 4096, timer: 256, serial: 512, network: 16384, disk: 12288, video: 2048 };
type DeviceName = keyof typeof DEVICES;

/** Registers of the one processor, as indices of 32-bit halves. */
const STEP = 4;
const SUM_LOW = 6;
const SUM_HIGH = 7;
const USER = 16;
const PROCESSOR_BYTES = 1024;

/** What else the machine needs to go on: its shape and, for a recording, where that lies. */
export interface Board {
  readonly version: number;
  readonly shape: Shape;
  readonly recording?: string;
}

/** The devices of a mock machine: some tens of kilobytes, of which a step changes a few words. */
export class Devices {
  readonly board: Board;
  /** The generator of everything random in the guest; its state is in the processor's. */
  readonly random: Random;
  readonly #processor = new Uint32Array(PROCESSOR_BYTES / 4);
  readonly #devices = new Map<DeviceName, Uint32Array>();

  constructor(board: Omit<Board, 'version'>) {
    this.board = { version: VERSION, ...board };
    this.random = new Random(this.#processor.subarray(0, 4));
    this.random.seed(board.shape.seed);
    const noise = new Random(new Uint32Array(4));
    noise.seed(board.shape.seed ^ 0x6465);
    for (const [name, bytes] of Object.entries(DEVICES) as [DeviceName, number][]) {
      this.#devices.set(
        name,
        new Uint32Array(bytes / 4).map(() => (noise.chance(0.3) ? noise.next() : 0)),
      );
    }
  }

  /** Steps since the boot. */
  get step(): number {
    return this.#processor[STEP] ?? 0;
  }

  /** Registers that a workload keeps from step to step. */
  get registers(): Uint32Array {
    return this.#processor.subarray(USER, USER + 16);
  }

  /** Advances what every step changes: the step counter, the clock, the interrupts taken. */
  advance(): void {
    this.#processor[STEP] = this.step + 1;
    this.#add('timer', 0, 10_000_019);
    this.#add('interrupts', 8 + (this.step % 32), 1);
    if (this.step % 4 === 0) this.#add('network', 64 + (this.step % 256), 0x40);
  }

  /** Copies of all devices, with the guest's checksum in the processor's registers. */
  save(sum: { low: number; high: number }): DeviceState[] {
    this.#processor[SUM_LOW] = sum.low;
    this.#processor[SUM_HIGH] = sum.high;
    const copy = (words: Uint32Array) => new Uint8Array(words.slice().buffer);
    return [
      { name: 'board', bytes: new TextEncoder().encode(JSON.stringify(this.board)) },
      { name: 'processor', bytes: copy(this.#processor) },
      ...[...this.#devices].map(([name, words]) => ({ name, bytes: copy(words) })),
    ];
  }

  /** The checksum that the guest had when the devices were saved. */
  get savedSum(): { low: number; high: number } {
    return { low: (this.#processor[SUM_LOW] ?? 0) | 0, high: (this.#processor[SUM_HIGH] ?? 0) | 0 };
  }

  /** Devices as `save` gave them. Parts that are missing, strange or too many: MACHINE_INCOMPATIBLE. */
  static load(state: readonly DeviceState[]): Devices {
    const parts = new Map(state.map(({ name, bytes }) => [name, bytes]));
    const devices = new Devices(parseBoard(parts.get('board')));
    devices.#fill('processor', parts.get('processor'), devices.#processor);
    for (const [name, words] of devices.#devices) devices.#fill(name, parts.get(name), words);
    if (parts.size !== state.length || parts.size !== devices.#devices.size + 2) {
      throw incompatible(`it has the parts ${state.map(({ name }) => name).join(', ')}`);
    }
    return devices;
  }

  #fill(name: string, bytes: Uint8Array | undefined, words: Uint32Array): void {
    if (bytes?.length !== words.byteLength) {
      throw incompatible(`"${name}" has ${bytes?.length ?? 'no'} bytes, not ${words.byteLength}`);
    }
    new Uint8Array(words.buffer, words.byteOffset, words.byteLength).set(bytes);
  }

  #add(device: DeviceName, index: number, by: number): void {
    const words = this.#devices.get(device) as Uint32Array;
    words[index] = (words[index] ?? 0) + by;
  }
}

function parseBoard(bytes: Uint8Array | undefined): Board {
  let board: Partial<Board> | null | undefined;
  try {
    board = bytes && (JSON.parse(new TextDecoder().decode(bytes)) as Partial<Board> | null);
  } catch (cause) {
    throw incompatible('its board cannot be read', cause);
  }
  if (!board?.shape) throw incompatible('it has no board');
  if (board.version !== VERSION) throw incompatible(`its board has version ${String(board.version)}`);
  return board as Board;
}

function incompatible(what: string, cause?: unknown): FitdocError {
  return new FitdocError('MACHINE_INCOMPATIBLE', `This is no device state of a mock machine: ${what}.`, {
    cause,
    hint: 'Restore checkpoints of mock machines to mock:, others to the hypervisor that made them.',
  });
}
