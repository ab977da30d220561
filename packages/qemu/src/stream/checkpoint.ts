import type { PageSink } from '@fitdoc/interface';
import { damaged, type ByteQueue, type Parse } from './byte-queue.js';
import { COLO_REQUEST, COLO_SEND, COLO_SIZE, SECTION_EOF } from './layout.js';
import type { SectionReader } from './sections.js';

const MAX_DEVICE_BYTES = 1 << 30;

/** Reads QEMU's question whether a checkpoint may begin; it waits, with the guest running, for the answer. */
export function* readRequest(queue: ByteQueue): Parse<void> {
  yield* readMessage(queue, COLO_REQUEST);
}

/** Arrival times of the parts of one checkpoint, in the unit that the queue was given. */
export interface CheckpointTimes {
  /** The first byte: the guest stands, saving begins. */
  begun: number;
  memory: number;
  devices: number;
}

/** Reads one checkpoint, from SEND on: dirty pages into the sink; gives the device state with its EOF byte. */
export function* readCheckpoint(
  queue: ByteQueue,
  sections: SectionReader,
  sink: PageSink,
  times: CheckpointTimes,
): Parse<Uint8Array> {
  yield* readMessage(queue, COLO_SEND);
  times.begun = queue.arrivedAt;
  yield* sections.readRam(sink);
  const type = yield* sections.readType();
  if (type !== SECTION_EOF)
    throw damaged(queue.position - 1, `section type ${type} after a checkpoint's RAM`);
  times.memory = queue.arrivedAt;
  yield* readMessage(queue, COLO_SIZE);
  while (queue.available < 8) yield 8;
  const size = queue.uint64();
  if (size === 0 || size > MAX_DEVICE_BYTES)
    throw damaged(queue.position - 8, `device state of ${size} bytes`);
  const devices = new Uint8Array(size);
  for (let filled = 0; filled < size;) {
    while (queue.available < 1) yield 1;
    const count = Math.min(size - filled, queue.available);
    queue.copyTo(devices.subarray(filled, filled + count));
    filled += count;
  }
  times.devices = queue.arrivedAt;
  return devices;
}

function* readMessage(queue: ByteQueue, expected: number): Parse<void> {
  while (queue.available < 4) yield 4;
  const message = queue.uint32();
  if (message !== expected) throw damaged(queue.position - 4, `message ${message} where ${expected} was due`);
}
