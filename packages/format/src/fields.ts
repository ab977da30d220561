import type { Json } from '@fitdoc/interface';
import { LIMITS } from './limits.js';

/** Reads the members of a JSON object one by one, each held against what it must be. */
export class Fields {
  readonly #object: Readonly<Record<string, Json>>;

  /** `fail` makes the error for a message. */
  constructor(
    value: unknown,
    private readonly what: string,
    private readonly fail: (message: string) => Error,
  ) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw fail(`${what} is no object.`);
    this.#object = value as Readonly<Record<string, Json>>;
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  raw(name: string): Json | undefined {
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }

  /** A text of at most LIMITS.text bytes. */
  text(name: string, pattern?: RegExp): string {
    const value = this.raw(name);
    if (typeof value !== 'string' || Buffer.byteLength(value) > LIMITS.text) throw this.bad(name);
    if (pattern && !pattern.test(value)) throw this.bad(name);
    return value;
  }

  optionalText(name: string, pattern?: RegExp): string | undefined {
    return this.has(name) ? this.text(name, pattern) : undefined;
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = this.raw(name);
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw this.bad(name);
    return found;
  }

  /** A whole number from 0 to 2^53 - 1. */
  count(name: string): number {
    const value = this.raw(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw this.bad(name);
    return value;
  }

  flag(name: string): boolean {
    const value = this.raw(name);
    if (typeof value !== 'boolean') throw this.bad(name);
    return value;
  }

  list(name: string, most: number): readonly Json[] {
    const value = this.raw(name);
    if (!Array.isArray(value) || value.length > most) throw this.bad(name);
    return value as readonly Json[];
  }

  /** Texts of one pattern; absent counts as none. */
  texts(name: string, most: number, pattern: RegExp): readonly string[] {
    if (!this.has(name)) return [];
    return this.list(name, most).map((value) => {
      if (typeof value !== 'string' || !pattern.test(value)) throw this.bad(name);
      return value;
    });
  }

  record(name: string): Readonly<Record<string, Json>> {
    const value = this.raw(name);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.bad(name);
    return value as Readonly<Record<string, Json>>;
  }

  bad(name: string): Error {
    return this.fail(`${this.what}: ${name} is missing or not what it must be.`);
  }
}
