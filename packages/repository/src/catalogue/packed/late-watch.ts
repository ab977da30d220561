import { listAfter, type CallOptions, type Store } from '@fitdoc/interface';
import { keyOfName, seriesId } from './coverage.js';
import { directoryOf, splitKey, type Series } from './segment-key.js';
import type { PackedSettings } from './settings.js';

interface Seen {
  /** The highest name that is known of. */
  highest: string;
  /** When it was last asked whether there is a higher one; undefined: never. */
  askedAtMs: number | undefined;
}

/** Tells a writer whether a new key sorts below one that is there: then a segment may already claim its stretch. */
export class LateWatch {
  readonly #series = new Map<string, Seen>();

  constructor(
    private readonly store: Store,
    private readonly settings: PackedSettings,
  ) {}

  /** Takes in what a listing that began at `askedAtMs` found last in a series, or what was put. */
  saw(series: Series, name: string, askedAtMs?: number): void {
    const seen = this.#of(series);
    if (name > seen.highest) seen.highest = name;
    if (askedAtMs !== undefined && askedAtMs > (seen.askedAtMs ?? -Infinity)) seen.askedAtMs = askedAtMs;
  }

  /** Asks the store only where what is known is older than half the horizon; the put has the other half. */
  async isLate(series: Series, name: string, call: CallOptions): Promise<boolean> {
    const seen = this.#of(series);
    if (name <= seen.highest) return true;
    const fresh =
      seen.askedAtMs !== undefined && this.settings.steady() - seen.askedAtMs < this.settings.horizonMs / 2;
    return fresh ? false : this.isBelowAnother(series, name, call);
  }

  /** The highest name of a series; empty where it has none. */
  async highest(series: Series, call: CallOptions): Promise<string> {
    const [seen, directory, askedAtMs] = [this.#of(series), directoryOf(series), this.settings.steady()];
    const above = seen.highest === '' ? '' : keyOfName(series, seen.highest);
    for await (const { key } of listAfter(this.store, directory, above, call)) {
      const split = splitKey(key);
      if (split) this.saw(series, split.name);
    }
    this.saw(series, '', askedAtMs);
    return seen.highest;
  }

  async isBelowAnother(series: Series, name: string, call: CallOptions): Promise<boolean> {
    const askedAtMs = this.settings.steady();
    const directory = directoryOf(series);
    for await (const { key } of listAfter(this.store, directory, keyOfName(series, name), call)) {
      this.saw(series, key.slice(directory.length, -'.fitdoc'.length), askedAtMs);
      return true;
    }
    this.saw(series, '', askedAtMs);
    return false;
  }

  #of(series: Series): Seen {
    const id = seriesId(series);
    let seen = this.#series.get(id);
    if (!seen) {
      seen = { highest: '', askedAtMs: undefined };
      this.#series.set(id, seen);
    }
    return seen;
  }
}
