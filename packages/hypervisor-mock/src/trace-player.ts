import { PAGE_SIZE } from '@fitdoc/interface';
import type { Devices } from './device-state.js';
import type { GuestMemory } from './guest-memory.js';
import type { Trace, TracePages } from './trace-file.js';

/** What of a guest a recording is played in. */
interface Played {
  readonly devices: Devices;
  readonly memory: GuestMemory;
}

/** Index of the register that counts the steps of a replay: 1 with the base in memory, 2 after an epoch. */
const POSITION = 0;

/**
 * Plays a recording in a guest: the first step brings the pages as they were before the first epoch, each
 * further step one epoch. Where it stands is in the guest's registers, so a restored guest plays on.
 */
export class TracePlayer {
  readonly #trace: Trace;
  #position = 0;
  #ended = false;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  /** Whether the last epoch was captured and committed. */
  get ended(): boolean {
    return this.#ended;
  }

  step(guest: Played): void {
    const { registers } = guest.devices;
    const position = registers[POSITION] ?? 0;
    const pages = position === 0 ? this.#trace.base : this.#trace.epochs[position - 1];
    this.#position = position + (pages ? 1 : 0);
    if (!pages) return;
    registers[POSITION] = this.#position;
    guest.devices.advance();
    writePages(guest, pages);
  }

  /** Notes that everything captured so far is durable; true when that was the recording's end. */
  commit(): boolean {
    this.#ended = this.#position > this.#trace.epochs.length;
    return this.#ended;
  }
}

function writePages(guest: Played, { gfns, bytes }: TracePages): void {
  for (const [index, gfn] of gfns.entries()) {
    guest.memory.writePage(gfn, bytes.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE));
  }
}
