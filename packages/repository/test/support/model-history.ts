import type {
  CheckpointEntry,
  HistoryPlan,
  MergeJob,
  RetentionPolicy,
  Tag,
  Lineage,
} from '../../src/index.js';
import { planHistory } from '../../src/index.js';
import { modelEntry } from './model-entries.js';

type Words = ReadonlyMap<number, number>;

/** A store of objects that hold words, and what every state must restore to. */
export class ModelHistory {
  readonly objects = new Map<string, { entry: CheckpointEntry; words: Words }>();
  readonly images = new Map<string, Words>();
  readonly tags = new Map<string, string>();
  nowMs = 1_760_000_000_000;
  written = { captured: 0, merged: 0 };
  #state = 0;
  #sequence = 0;
  #derived = 0;
  /** The state that the guest goes on from. */
  head: string | undefined;

  /** Takes a checkpoint of a guest that wrote some words. */
  capture(words: Words, capturedAtMs = this.nowMs): CheckpointEntry {
    const parent = this.head;
    const image = new Map([...(parent ? this.images.get(parent)! : []), ...words]);
    const state = ++this.#state;
    const entry = modelEntry({
      state,
      sequence: ++this.#sequence,
      capturedAtMs,
      bytes: 2 + (parent ? words : image).size,
      ...(parent === undefined ? {} : { parent: numberOf(parent) }),
    });
    this.objects.set(entry.key, { entry, words: parent ? words : image });
    this.images.set(entry.contentHash, image);
    this.head = entry.contentHash;
    this.written.captured += entry.bytes;
    return entry;
  }

  entries(): CheckpointEntry[] {
    return [...this.objects.values()].map(({ entry }) => entry);
  }

  plan(policy: RetentionPolicy, held?: ReadonlySet<string>): HistoryPlan {
    const tags = [...this.tags].map(([name, contentHash]): Tag => ({ name, contentHash, movedAtMs: 0 }));
    const asked = { machineId: 'm1', entries: this.entries(), policy, tags, nowMs: this.nowMs };
    return planHistory({ ...asked, ...(held ? { held } : {}) });
  }

  /** Does a merge as an executor does it, checking that the job's way is one. */
  run(job: MergeJob): CheckpointEntry {
    let at = job.parent;
    const words = new Map<number, number>();
    for (const { key, parentContentHash, contentHash } of job.path) {
      const object = this.objects.get(key);
      if (!object) throw new Error(`the job reads ${key}, which is not there`);
      if (parentContentHash !== at) throw new Error(`the job's way is broken at ${key}`);
      for (const [word, value] of object.words) words.set(word, value);
      at = contentHash;
    }
    if (at !== job.to.contentHash) throw new Error('the way of the job leads elsewhere');
    if ((job.parent === undefined) !== (job.role === 'base')) throw new Error('the role is not the kind');
    const entry = modelEntry({
      state: numberOf(job.to.contentHash),
      sequence: job.to.sequence,
      capturedAtMs: job.to.capturedAtMs,
      derived: ++this.#derived,
      role: job.role,
      bytes: 2 + words.size,
      ...(job.parent === undefined ? {} : { parent: numberOf(job.parent) }),
    });
    this.objects.set(entry.key, { entry, words });
    this.written.merged += entry.bytes;
    return entry;
  }

  remove(entry: CheckpointEntry): void {
    if (!this.objects.delete(entry.key)) throw new Error(`${entry.key} is not there`);
  }

  /** What a state restores to now, with the number of objects read; undefined when it cannot be. */
  restore(lineage: Lineage, contentHash: string): { words: Words; objects: number } | undefined {
    const face = lineage.face(contentHash);
    if (!face || !lineage.cost(face)) return undefined;
    const chain = lineage.chain(face);
    const words = new Map<number, number>();
    for (const { key } of chain)
      for (const [word, value] of this.objects.get(key)!.words) words.set(word, value);
    return { words, objects: chain.length };
  }
}

function numberOf(contentHash: string): number {
  return parseInt(contentHash.slice(0, 32), 16);
}
