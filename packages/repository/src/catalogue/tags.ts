import { FitdocError, isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import { z } from 'zod';
import { shortId, type CheckpointEntry } from './entry.js';
import { TAGS_PREFIX } from '../layout.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const LOOKS_LIKE_ID = /^[0-9a-f]{4,}$/i;
const LOOKS_LIKE_TIME = /^\d{4}-\d{2}-\d{2}/;
const KEY = /^tags\/([A-Za-z0-9._-]+)\/(\d{8})\.json$/;
/** Older positions of a tag that are kept. */
const HISTORY = 16;

const schema = z.looseObject({
  contentHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  movedAtMs: z.number(),
});

/** A name for a checkpoint. It protects the checkpoint from prune and delete. */
export interface Tag {
  readonly name: string;
  readonly contentHash: string;
  readonly movedAtMs: number;
}

interface Position {
  readonly version: number;
  readonly contentHash: string | null;
  readonly movedAtMs: number;
}

/** Keeps a checkpoint's object in place until the given function is called. */
export type Hold = (entry: CheckpointEntry, options: CallOptions) => Promise<() => Promise<void>>;

/**
 * Tags are kept as numbered positions, one object each, put only where nothing is: two that move a tag at the
 * same time cannot both win unnoticed, and where a tag was before stays readable.
 */
export class Tags {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #hold: Hold;

  constructor(store: Store, now: () => number, hold: Hold) {
    this.#store = store;
    this.#now = now;
    this.#hold = hold;
  }

  /** All tags, by name. */
  async list(options: CallOptions = {}): Promise<Tag[]> {
    const newest = new Map<string, number>();
    for (const [name, versions] of await this.#versions(TAGS_PREFIX, options))
      newest.set(name, versions.at(-1)!);
    const tags: Tag[] = [];
    for (const [name, version] of newest) {
      const { contentHash, movedAtMs } = await this.#read(name, version, options);
      if (contentHash !== null) tags.push({ name, contentHash, movedAtMs });
    }
    return tags;
  }

  /**
   * Makes a tag, or moves it. ARGUMENT_INVALID for a name that could be an id or a time, CHECKPOINT_NOT_FOUND
   * for a checkpoint that was removed meanwhile: who removes sees either the tag or our lease.
   */
  async set(name: string, entry: CheckpointEntry, options: CallOptions = {}): Promise<Tag> {
    checkName(name);
    const release = await this.#hold(entry, options);
    try {
      await this.#checkThere(entry, options);
      const movedAtMs = this.#now();
      await this.#append(name, { contentHash: entry.contentHash, movedAtMs }, options);
      return { name, contentHash: entry.contentHash, movedAtMs };
    } finally {
      await release();
    }
  }

  /** Removes a tag; the checkpoint stays. CHECKPOINT_NOT_FOUND when there is no such tag. */
  async remove(name: string, options: CallOptions = {}): Promise<void> {
    checkName(name);
    if (!(await this.list(options)).some((tag) => tag.name === name)) {
      throw new FitdocError('CHECKPOINT_NOT_FOUND', `There is no tag ${name}.`, { details: { tag: name } });
    }
    await this.#append(name, { contentHash: null, movedAtMs: this.#now() }, options);
  }

  /** Where a tag was, newest first; null stands for a time in which it was removed. */
  async history(name: string, options: CallOptions = {}): Promise<Omit<Position, 'version'>[]> {
    checkName(name);
    const versions = (await this.#versions(`${TAGS_PREFIX}${name}/`, options)).get(name) ?? [];
    const positions: Omit<Position, 'version'>[] = [];
    for (const version of versions.reverse()) {
      const { contentHash, movedAtMs } = await this.#read(name, version, options);
      positions.push({ contentHash, movedAtMs });
    }
    return positions;
  }

  async #checkThere(entry: CheckpointEntry, options: CallOptions): Promise<void> {
    if (await this.#store.stat(entry.key, options.signal ? { signal: options.signal } : {})) return;
    throw new FitdocError('CHECKPOINT_NOT_FOUND', `Checkpoint ${shortId(entry.id)} is not there any more.`, {
      hint: 'It was merged or removed just now. List the checkpoints again.',
      details: { id: entry.id },
    });
  }

  async #append(name: string, position: Omit<Position, 'version'>, options: CallOptions): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(position));
    for (;;) {
      const versions = (await this.#versions(`${TAGS_PREFIX}${name}/`, options)).get(name) ?? [];
      const call = options.signal ? { signal: options.signal } : {};
      try {
        await this.#store.put(keyOf(name, (versions.at(-1) ?? 0) + 1), bytes, call);
      } catch (error) {
        // Another moved it meanwhile: look again, so that the later move counts.
        if (isFitdocError(error, 'STORE_EXISTS')) continue;
        throw error;
      }
      for (const version of versions.slice(0, -HISTORY)) await this.#store.delete(keyOf(name, version), call);
      return;
    }
  }

  async #versions(prefix: string, options: CallOptions): Promise<Map<string, number[]>> {
    const versions = new Map<string, number[]>();
    for await (const { key } of this.#store.list(prefix, options.signal ? { signal: options.signal } : {})) {
      const match = KEY.exec(key);
      if (!match) continue;
      const known = versions.get(match[1]!);
      if (known) known.push(Number(match[2]));
      else versions.set(match[1]!, [Number(match[2])]);
    }
    return versions;
  }

  async #read(name: string, version: number, options: CallOptions): Promise<Position> {
    const key = keyOf(name, version);
    const bytes = await this.#store.get(key, undefined, options.signal ? { signal: options.signal } : {});
    try {
      return { version, ...schema.parse(JSON.parse(new TextDecoder().decode(bytes))) };
    } catch (error) {
      throw new FitdocError('REPOSITORY_DAMAGED', `The tag ${name} is damaged.`, {
        cause: error,
        hint: `Set it anew; the damaged object is ${key}.`,
        details: { tag: name, key },
      });
    }
  }
}

function keyOf(name: string, version: number): string {
  return `${TAGS_PREFIX}${name}/${String(version).padStart(8, '0')}.json`;
}

function checkName(name: string): void {
  const taken = name === 'latest' || LOOKS_LIKE_ID.test(name) || LOOKS_LIKE_TIME.test(name);
  if (NAME.test(name) && !taken) return;
  throw new FitdocError('ARGUMENT_INVALID', `A tag cannot be called ${JSON.stringify(name.slice(0, 80))}.`, {
    hint: 'A tag has 1 to 64 characters of A-Z a-z 0-9 . _ -, begins with a letter or digit, and does not look like an id, a time or latest.',
  });
}
