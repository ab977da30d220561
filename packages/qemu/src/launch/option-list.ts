import type { Json } from '@fitdoc/interface';

/**
 * The value of an option: `first,key=value,key=value`, with a comma within a value doubled, or a JSON object. In JSON
 * what lies deeper is named with dots, as the other form has it.
 */
export class OptionList {
  readonly #json: boolean;
  readonly #pairs: [key: string, value: Json | undefined][];

  private constructor(json: boolean, pairs: [string, Json | undefined][]) {
    this.#json = json;
    this.#pairs = pairs;
  }

  static parse(text: string): OptionList {
    const object = text.trimStart().startsWith('{') ? jsonObject(text) : undefined;
    if (object !== undefined) return new OptionList(true, flat(object));
    return new OptionList(
      false,
      splitCommas(text).map((part): [string, string | undefined] => {
        const at = part.indexOf('=');
        return at < 0 ? [part, undefined] : [part.slice(0, at), part.slice(at + 1)];
      }),
    );
  }

  /** The word that comes first without a key: the driver of a device, the kind of a back-end. */
  get first(): string | undefined {
    const [pair] = this.#pairs;
    return !this.#json && pair !== undefined && pair[1] === undefined ? pair[0] : undefined;
  }

  get keys(): readonly string[] {
    return this.#pairs.map(([key]) => key);
  }

  get(key: string): string | undefined {
    const found = this.#pairs.findLast(([name, value]) => name === key && value !== undefined)?.[1];
    return found === undefined ? undefined : shown(found);
  }

  /** Puts a value in the place of the key's, or behind all others. */
  set(key: string, value: string | boolean): this {
    const set = this.#json || typeof value === 'string' ? value : value ? 'on' : 'off';
    const pair = this.#pairs.findLast(([name, old]) => name === key && old !== undefined);
    if (pair) pair[1] = set;
    else this.#pairs.push([key, set]);
    return this;
  }

  delete(...keys: readonly string[]): this {
    for (const key of keys)
      for (let at = this.#pairs.length - 1; at >= 0; at--)
        if (this.#pairs[at]![0] === key) this.#pairs.splice(at, 1);
    return this;
  }

  /** Keys, and what lies below them. */
  deleteBelow(...keys: readonly string[]): this {
    return this.delete(
      ...this.keys.filter((key) => keys.some((each) => key === each || key.startsWith(`${each}.`))),
    );
  }

  toString(): string {
    if (this.#json) return JSON.stringify(deep(this.#pairs));
    return this.#pairs
      .map(([key, value]) => (value === undefined ? key : `${key}=${doubled(shown(value))}`))
      .join(',');
  }
}

function shown(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function doubled(text: string): string {
  return text.replaceAll(',', ',,');
}

function splitCommas(text: string): string[] {
  return text === ''
    ? []
    : (text.match(/(?:,,|[^,])+|(?<=,)(?=,|$)/g) ?? []).map((part) => part.replaceAll(',,', ','));
}

function jsonObject(text: string): Readonly<Record<string, Json>> | undefined {
  try {
    return JSON.parse(text) as Record<string, Json>;
  } catch {
    return undefined;
  }
}

function flat(object: Readonly<Record<string, Json>>, above = ''): [string, Json][] {
  return Object.entries(object).flatMap(([key, value]): [string, Json][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? flat(value as Record<string, Json>, `${above}${key}.`)
      : [[`${above}${key}`, value]],
  );
}

function deep(pairs: readonly (readonly [string, Json | undefined])[]): Record<string, Json> {
  const object: Record<string, Json> = {};
  for (const [path, value] of pairs) {
    const keys = path.split('.');
    let at = object;
    for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, Json>;
    at[keys.at(-1)!] = value ?? null;
  }
  return object;
}
