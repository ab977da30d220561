import { createCodec, type Codec, type EncodedBatch } from '@fitdoc/codec';
import { applyBatch, ImageView, runDiffTask, type DiffResult } from '@fitdoc/diff';
import { isFitdocError, KIND_WORDS, MASK_SIZE, PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import type {
  ApplyResult,
  ApplyTarget,
  ApplyTask,
  EncodeResult,
  EncodeSettings,
  EncodeTask,
  EngineTask,
  TaskOutcome,
} from './tasks.js';
import { wordCounts } from './word-counts.js';

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
  const batch = ImageView.attach(task.image).gather(task.gfns, { forceWhole: task.forceWhole });
  const encoded = codec.encode(batch);
  return { encoded, gfns: batch.gfns, kinds: batch.kinds, wordCounts: wordCounts(batch) };
}

async function apply({ encoded, target }: ApplyTask): Promise<ApplyResult[]> {
  const codec = await codecFor({ compressor: 'zstd' });
  return encoded.map((bytes) => applyOne(codec.decode(bytes), target));
}

function applyOne(batch: PageBatch, target: ApplyTarget): ApplyResult {
  if (target.kind === 'image') {
    ImageView.attach(target.image).apply(batch);
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

function perform(task: EngineTask): Promise<EncodeResult | EncodedBatch | ApplyResult[] | DiffResult> {
  switch (task.kind) {
    case 'encode-batch':
      return codecFor(task.settings).then((codec) => codec.encode(task.batch));
    case 'encode':
      return encode(task);
    case 'apply':
      return apply(task);
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
