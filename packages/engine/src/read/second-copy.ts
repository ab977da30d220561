import {
  isFitdocError,
  type CallOptions,
  type PageExtent,
  type PageRun,
  type RandomPages,
  type RestoreSource,
} from '@fitdoc/interface';

/** A source whose damaged or missing pages come from another copy of the same checkpoint. */
export function withSecondCopy(source: RestoreSource, other: RestoreSource): RestoreSource {
  const { info, deviceState, random, disks } = source;
  return {
    info,
    deviceState,
    pages: (options) => source.pages(options),
    ...(disks && { disks }),
    ...(random && other.random && { random: new SecondCopy(random, other.random) }),
  };
}

class SecondCopy implements RandomPages {
  readonly stored: readonly PageRun[];
  readonly #first: RandomPages;
  readonly #second: RandomPages;

  constructor(first: RandomPages, second: RandomPages) {
    // The copies may be merged differently; what either calls zero is zero.
    this.stored = first.stored;
    this.#first = first;
    this.#second = second;
  }

  async read(gfn: number, count: number, options: CallOptions = {}): Promise<readonly PageExtent[]> {
    try {
      return await this.#first.read(gfn, count, options);
    } catch (error) {
      if (!isFitdocError(error) || !/^(FORMAT_|CODEC_|STORE_NOT_FOUND)/.test(error.code)) throw error;
      return this.#second.read(gfn, count, options);
    }
  }

  recent(count: number, options: CallOptions = {}): Promise<readonly PageRun[]> {
    return this.#first.recent(count, options);
  }
}
