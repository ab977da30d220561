import { createCodec, type Codec, type EncodedBatch } from '@fitdoc/codec';
import { applyBatch, ImageView, runDiffTask } from '@fitdoc/diff';
import {
  isFitdocError,
  KIND_WORDS,
  MASK_SIZE,
  MAX_BATCH_PAGES,
  PAGE_SIZE,
  type PageBatch,
} from '@fitdoc/interface';
import type {
  ApplyResult,
  ApplyTarget,
  ApplyTask,
  BlocksTask,
  EncodeResult,
  EncodeSettings,
  EncodeTask,
  EngineTask,
  MergeResult,
  MergeTask,
  TaskOutcome,
  TaskResult,
} from './tasks.js';
import { layerOf } from './layer.js';
import { rebuild } from './rebuild.js';
import { baseBatch, mergedBatch } from './merge-window.js';
import { patch } from './patch.js';
import { wordCounts } from './word-counts.js';

/** Any codec reads what every one wrote. */
const READING: EncodeSettings = { compressor: 'zstd' };

/** Where this thread lays batches out: fresh megabytes for each would cost more, in page faults, than to fill them. */
let columns: Uint8Array | undefined;

const codecs = new Map<string, Promise<Codec>>();

function codecFor(settings: EncodeSettings): Promise<Codec> {
  const key = JSON.stringify(settings);
  let codec = codecs.get(key);
  if (!codec) {
    codec = createCodec({ ...settings });
    codecs.set(key, codec);
  }
  return codec;
}

async function encode(task: EncodeTask): Promise<EncodeResult> {
  const codec = await codecFor(task.settings);
  const { forceWhole } = task;
  columns ??= new Uint8Array(MAX_BATCH_PAGES * PAGE_SIZE);
  const batch = ImageView.attach(task.image).gather(task.gfns, { forceWhole, into: columns });
  const encoded = codec.encode(batch);
  return { encoded, gfns: batch.gfns, kinds: batch.kinds, wordCounts: wordCounts(batch) };
}

async function encodeBlocks({ kind: _, settings, ...batch }: BlocksTask): Promise<EncodedBatch> {
  const codec = await codecFor(settings);
  return codec.encode(batch);
}

async function apply({ encoded, target }: ApplyTask): Promise<ApplyResult[]> {
  const codec = await codecFor(READING);
  return encoded.map((bytes) => applyOne(codec.decode(bytes), target));
}

function applyOne(batch: PageBatch, target: ApplyTarget): ApplyResult {
  if (target.kind === 'image') {
    ImageView.attach(target.image).apply(batch, { out: target.out });
  } else {
    applyToWindow(batch, new Uint8Array(target.memory), target.firstGfn, target.pages);
    if (target.known) markKnown(batch, new Uint8Array(target.known), target.firstGfn, target.pages);
  }
  return { gfns: batch.gfns, kinds: batch.kinds, wordCounts: wordCounts(batch) };
}

/** A batch may reach beyond the window on both sides: those pages go to a page that nobody reads. */
function applyToWindow(batch: PageBatch, window: Uint8Array, firstGfn: number, pages: number): void {
  const elsewhere = new Uint8Array(PAGE_SIZE);
  applyBatch(batch, (gfn) => {
    const index = gfn - firstGfn;
    if (index < 0 || index >= pages) return elsewhere;
    return window.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE);
  });
}

/** Notes the words that the batch wrote: all of a page that it has whole or as zero. */
function markKnown(batch: PageBatch, known: Uint8Array, firstGfn: number, pages: number): void {
  let from = 0;
  batch.gfns.forEach((gfn, index) => {
    const ofWords = batch.kinds[index] === KIND_WORDS;
    const mask = batch.masks.subarray(from, from + MASK_SIZE);
    if (ofWords) from += MASK_SIZE;
    const page = gfn - firstGfn;
    if (page < 0 || page >= pages) return;
    const target = known.subarray(page * MASK_SIZE, (page + 1) * MASK_SIZE);
    if (!ofWords) target.fill(0xff);
    else for (let byte = 0; byte < MASK_SIZE; byte++) target[byte] = (target[byte] ?? 0) | (mask[byte] ?? 0);
  });
}

async function merge(task: MergeTask): Promise<MergeResult> {
  const codec = await codecFor(task.settings);
  const { firstGfn, gfns } = task;
  const merged = { firstGfn, bytes: new Uint8Array(task.memory), known: new Uint8Array(task.known) };
  const batch = task.ofBase ? baseBatch(merged, gfns) : mergedBatch(merged, gfns);
  const result = batch.gfns.length > 0 ? { encoded: codec.encode(batch), gfns: batch.gfns } : undefined;
  for (const gfn of gfns) {
    const page = gfn - firstGfn;
    merged.bytes.fill(0, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    merged.known.fill(0, page * MASK_SIZE, (page + 1) * MASK_SIZE);
  }
  return result;
}

function perform(task: EngineTask): Promise<TaskResult> {
  switch (task.kind) {
    case 'merge':
      return merge(task);
    case 'blocks':
      return encodeBlocks(task);
    case 'encode':
      return encode(task);
    case 'apply':
      return apply(task);
    case 'layers':
      return codecFor(READING).then((codec) => task.encoded.map((bytes) => layerOf(codec.decode(bytes))));
    case 'rebuild':
      return codecFor(READING).then((codec) => rebuild(task, codec));
    case 'patch':
      return codecFor(READING).then((codec) => patch(codec.decode(task.encoded), task.files));
    case 'diff':
      return Promise.resolve(runDiffTask(task.task));
  }
}

/** What a worker of the engine's pool does with a task. */
export default async function run(task: EngineTask): Promise<TaskOutcome> {
  try {
    return { value: await perform(task) };
  } catch (error) {
    // An error loses its code when it is cloned to another thread, so a typed one goes as plain data.
    if (!isFitdocError(error)) throw error;
    return {
      failure: { code: error.code, message: error.message, hint: error.hint, details: error.details },
    };
  }
}
