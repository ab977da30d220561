// A guest's memory, and what each capture changed in it: enough to restore any of them.
export const PAGE = 4096;

export class History {
  constructor(regions) {
    const last = regions.at(-1);
    this.regions = regions;
    this.memory = new Uint8Array((last.firstGfn + last.pages) * PAGE);
    this.touched = new Set();
    this.checkpoints = [];
  }

  reserve() {
    return false;
  }

  place(gfn, count) {
    if ((gfn + count) * PAGE > this.memory.length) throw new RangeError(`page ${gfn} is beyond the memory`);
    for (let index = 0; index < count; index++) this.touched.add(gfn + index);
    return this.memory.subarray(gfn * PAGE, (gfn + count) * PAGE);
  }

  zero(gfn, count) {
    this.place(gfn, count).fill(0);
  }

  /** Keeps what came since the last one. The first keeps all of the memory. */
  settle(info, harvest) {
    const pages = new Map();
    for (const gfn of this.touched) pages.set(gfn, this.memory.slice(gfn * PAGE, (gfn + 1) * PAGE));
    this.touched.clear();
    this.checkpoints.push({ info, pages, deviceState: harvest.deviceState });
    return pages.size;
  }

  /** The memory as of a checkpoint, as a restore wants it. */
  source(index) {
    const memory = new Map();
    for (const { pages } of this.checkpoints.slice(0, index + 1)) {
      for (const [gfn, bytes] of pages) memory.set(gfn, bytes);
    }
    const { info, deviceState } = this.checkpoints[index];
    return {
      info,
      deviceState,
      async *pages() {
        const gfns = [...memory.keys()].sort((a, b) => a - b);
        for (let first = 0, next; first < gfns.length; first = next) {
          for (next = first + 1; next - first < 256 && gfns[next] === gfns[first] + next - first;) next++;
          yield {
            gfn: gfns[first],
            bytes: Buffer.concat(gfns.slice(first, next).map((gfn) => memory.get(gfn))),
          };
        }
      },
    };
  }
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
