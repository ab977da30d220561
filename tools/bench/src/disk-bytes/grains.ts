import { open } from 'node:fs/promises';
import type { Compressor } from '@fitdoc/interface';

/** Bytes in which what changed is counted: QEMU's own backups count 64 KiB, fitdoc blocks, and memory in words. */
export const GRAINS = [65_536, 16_384, 4_096, 512, 8] as const;
const STRETCH = 1 << 20;

/** What of a grain changed, in bytes. */
export interface Changed {
  raw: number;
  /** The changed grains one behind the other, a MiB at a time. */
  zstd3: number;
}

/** Adds up what changed from one image to the next of the same size, at each grain. */
export class GrainCount {
  readonly of: ReadonlyMap<number, Changed> = new Map(GRAINS.map((grain) => [grain, { raw: 0, zstd3: 0 }]));

  constructor(private readonly compressor: Compressor) {}

  async add(before: string, after: string): Promise<void> {
    const [one, other] = [await open(before), await open(after)];
    try {
      const { size } = await other.stat();
      const [old, now] = [Buffer.alloc(STRETCH), Buffer.alloc(STRETCH)];
      const gathered = new Map(
        GRAINS.map((grain) => [grain, new Gathered(this.compressor, this.of.get(grain)!)]),
      );
      for (let at = 0; at < size; at += STRETCH) {
        await one.read(old, 0, STRETCH, at);
        await other.read(now, 0, STRETCH, at);
        if (!old.equals(now)) for (const [grain, some] of gathered) gather(old, now, grain, some);
      }
      for (const some of gathered.values()) some.flush();
    } finally {
      await one.close();
      await other.close();
    }
  }
}

function gather(old: Buffer, now: Buffer, grain: number, into: Gathered): void {
  const coarse = Math.max(grain, 4_096);
  for (let at = 0; at < STRETCH; at += coarse) {
    if (old.compare(now, at, at + coarse, at, at + coarse) === 0) continue;
    for (let fine = at; fine < at + coarse; fine += grain)
      if (old.compare(now, fine, fine + grain, fine, fine + grain) !== 0)
        into.add(now.subarray(fine, fine + grain));
  }
}

class Gathered {
  readonly #bytes = Buffer.alloc(STRETCH);
  #used = 0;

  constructor(
    private readonly compressor: Compressor,
    private readonly changed: Changed,
  ) {}

  add(bytes: Uint8Array): void {
    if (this.#used + bytes.length > STRETCH) this.flush();
    this.#bytes.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  flush(): void {
    this.changed.raw += this.#used;
    if (this.#used > 0)
      this.changed.zstd3 += this.compressor.compress(this.#bytes.subarray(0, this.#used), 3).length;
    this.#used = 0;
  }
}
