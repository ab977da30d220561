import { readlinkSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { bindSockets, type SocketCalls } from '../native/binding.js';
import { descriptorOf } from '../native/processes.js';
import { shutDown, waiting } from '../native/sockets.js';

/** A descriptor of the watched process, and what it was when the guard was told of it. */
export interface Held {
  readonly descriptor: number;
  /** `socket:[12345]`: a number may become another's. */
  readonly name: string;
}

/** A stream that the watched process reads, and its monitor connection to the same QEMU. */
export interface OpenStream {
  readonly process: number;
  readonly socket: Held;
  readonly monitor: Held;
  /** QEMU may stand and await a word of that process, with nothing left to read. */
  readonly awaited: boolean;
}

/** What this process holds under a number. Undefined where it does not show. */
export function held(descriptor: number | undefined): Held | undefined {
  if (descriptor === undefined || descriptor < 0) return undefined;
  try {
    return { descriptor, name: readlinkSync(`/proc/self/fd/${descriptor}`) };
  } catch {
    return undefined;
  }
}

/** Between two looks at a stream, milliseconds; and how many that find the same end the watched process's time. */
export const LOOK_EVERY_MS = 1000;
const LOOKS = 5;
/** How long QEMU gets to notice that the stream is over before it is told so. */
const NOTICE_MS = 500;

/**
 * Watches the stream of a process that may be stopped (SIGSTOP, a frozen control group) or swapped out while QEMU sends
 * a checkpoint that is larger than the kernel's buffer, or awaits its word: QEMU then waits with the guest standing, and
 * from version 11 on, while it sends, with its big lock held. A process that says nothing and reads nothing for a while loses its stream.
 */
export class StallWatch {
  private before = 0;
  private same = 0;
  private ended = false;

  constructor(private readonly stream: OpenStream) {}

  /** Call it whenever the process gave a sign of life. */
  heard(): void {
    this.same = 0;
  }

  /** Call it every LOOK_EVERY_MS. */
  async look(): Promise<void> {
    const calls = await bindSockets();
    const bytes = (await borrowed(calls, this.stream, 'socket', (socket) => waiting(calls, socket))) ?? 0;
    const waits = bytes > 0 || this.stream.awaited;
    this.same = waits && bytes === this.before ? this.same + 1 : 0;
    this.before = bytes;
    // What was read before our own time stood still would count as well, were it not for several looks.
    if (this.same < LOOKS) return;
    this.same = 0;
    await this.end(calls);
  }

  /** Ends the stream, and COLO through the process's own connection: QEMU serves no second one. */
  private async end(calls: SocketCalls): Promise<void> {
    const { stream } = this;
    const end = (socket: number): boolean => (shutDown(calls, socket), true);
    this.ended ||= (await borrowed(calls, stream, 'socket', end)) === true;
    if (!this.ended) return;
    await sleep(NOTICE_MS);
    // The answer, which has no number, is nobody's there. QEMU refuses it when COLO has ended, or never began.
    const told = '{"execute": "x-colo-lost-heartbeat"}\r\n';
    await borrowed(calls, stream, 'monitor', (monitor) => writeSync(monitor, told));
  }
}

/** Uses a descriptor of the watched process for a moment: one that was kept would outlive it, and QEMU not see its end. */
async function borrowed<Value>(
  calls: SocketCalls,
  stream: OpenStream,
  which: 'socket' | 'monitor',
  use: (descriptor: number) => Value,
): Promise<Value | undefined> {
  const copy = await descriptorOf(stream.process, stream[which].descriptor);
  if (copy === undefined) return undefined;
  try {
    return held(copy)?.name === stream[which].name ? use(copy) : undefined;
  } catch {
    // It is full, or over.
    return undefined;
  } finally {
    calls.close(copy);
  }
}
