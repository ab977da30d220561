import type { PageSink } from '@fitdoc/interface';
import { damaged, type ByteQueue, type Parse } from './byte-queue.js';
import { SECTION_EOF, SECTION_FOOTER, SECTION_FULL, SECTION_VMDESC } from './layout.js';
import type { SectionReader } from './sections.js';

const MAX_DEVICE_BYTES = 256 << 20;
const MAX_DESCRIPTION_BYTES = 64 << 20;
/** EOF, type and length of the description, and the first two characters of its JSON. */
const TAIL_BYTES = 8;
const FOOTER_BYTES = 5;

/**
 * Reads what follows the header of an ordinary migration, and gives the device state with its EOF byte: as COLO's
 * checkpoints have it, so what was sent ahead of memory comes first.
 */
export function* readPrecopy(queue: ByteQueue, sections: SectionReader, sink: PageSink): Parse<Uint8Array> {
  yield* sections.readRam(sink);
  const devices = yield* readDevices(queue);
  return sections.early.length === 0 ? devices : Buffer.concat([...sections.early, devices]);
}

/**
 * Device sections do not say how long they are, so their end is found by what follows: the last footer, EOF,
 * and the description (JSON with its length), all of which must be plausible together.
 */
function* readDevices(queue: ByteQueue): Parse<Uint8Array> {
  const start = queue.position;
  const read = new Growing();
  for (let at = FOOTER_BYTES; ;) {
    while (queue.available < 1) yield 1;
    read.take(queue);
    if (read.bytes[0] !== SECTION_FULL) throw damaged(start, 'no device state after the RAM');
    for (; at + TAIL_BYTES <= read.length; at++) {
      const end = descriptionEnd(read.bytes, at);
      if (end === undefined) continue;
      while (read.length < end) {
        while (queue.available < 1) yield 1;
        read.take(queue);
      }
      if (read.bytes[end - 1] !== 0x7d) continue;
      queue.unread(read.bytes.slice(end, read.length));
      return read.bytes.slice(0, at + 1);
    }
    if (read.length > MAX_DEVICE_BYTES) throw damaged(start, 'device state without end');
  }
}

/** Where the description ends if the device sections end at `at`. */
function descriptionEnd(bytes: Uint8Array, at: number): number | undefined {
  if (bytes[at] !== SECTION_EOF || bytes[at + 1] !== SECTION_VMDESC) return undefined;
  if (bytes[at - FOOTER_BYTES] !== SECTION_FOOTER) return undefined;
  if (bytes[at + 6] !== 0x7b || bytes[at + 7] !== 0x22) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + 2);
  return length <= MAX_DESCRIPTION_BYTES ? at + 6 + length : undefined;
}

/** Bytes gathered from a queue, in a buffer that doubles. */
class Growing {
  bytes = new Uint8Array(1 << 16);
  length = 0;

  take(queue: ByteQueue): void {
    const count = queue.available;
    if (this.length + count > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count));
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
    }
    queue.copyTo(this.bytes.subarray(this.length, this.length + count));
    this.length += count;
  }
}
