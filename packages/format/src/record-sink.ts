import { concat } from './bytes.js';
import { IndexBuilder, type IndexEntry } from './index-record.js';
import { align8, PREFIX_SIZE, recordSize } from './layout.js';
import { encodeRecordHeader } from './record.js';
import { sealRecord, type RecordSeal } from './seal.js';

type GfnRange = Pick<IndexEntry, 'firstGfn' | 'lastGfn' | 'pages' | 'space'>;

const NO_PAGES: GfnRange = { firstGfn: 0, lastGfn: 0, pages: 0, space: 0 };
// Up to this (the largest summary: END follows it unpadded), copying a payload costs less than handing out header, payload and padding one by one.
const COPY_BELOW = 64 << 10;

/** Turns records into chunks, knows where in the object it stands, and collects the index. */
export class RecordSink {
  readonly index = new IndexBuilder();
  /** Bytes of everything begun so far: where the next record will stand. */
  offset = PREFIX_SIZE;
  #padding = new Uint8Array(0);

  /** A record that the index lists, as chunks; `seal` where it is known already. */
  record(type: number, payload: Uint8Array, range = NO_PAGES, seal: RecordSeal = sealRecord(type, payload)) {
    const { checksum, hash } = seal;
    this.index.add({ type, length: payload.length, checksum, offset: this.offset, hash, ...range });
    return this.chunks(type, payload, checksum);
  }

  /** Any record as chunks. What pads a large payload goes out with the next record. */
  chunks(type: number, payload: Uint8Array, checksum: bigint): Uint8Array[] {
    this.offset += recordSize(payload.length);
    const header = encodeRecordHeader({ type, length: payload.length, checksum });
    const before = this.#padding;
    const after = new Uint8Array(align8(payload.length) - payload.length);
    if (payload.length <= COPY_BELOW) {
      this.#padding = new Uint8Array(0);
      return [concat([before, header, payload, after])];
    }
    this.#padding = after;
    return [concat([before, header]), payload];
  }
}
