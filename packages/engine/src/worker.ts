import { createCodec, type Codec } from '@fitdoc/codec';
import { applyBatch, runDiffTask, type DiffResult } from '@fitdoc/diff';
import { isFitdocError, PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import { attachedImage } from './attached-images.js';
import type {
  ApplyResult,
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
  const [image, codec] = await Promise.all([attachedImage(task.image), codecFor(task.settings)]);
  const batch = image.gather(task.gfns, { forceWhole: task.forceWhole });
  const encoded = codec.encode(batch);
  return { encoded, gfns: batch.gfns, kinds: batch.kinds, wordCounts: wordCounts(batch) };
}

async function apply(task: ApplyTask): Promise<ApplyResult> {
  const codec = await codecFor({ compressor: 'zstd' });
  const batch = codec.decode(task.encoded);
  const { target } = task;
  if (target.kind === 'image') {
    (await attachedImage(target.image)).apply(batch);
  } else {
    applyToWindow(batch, new Uint8Array(target.memory), target.firstGfn, target.pages);
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

function perform(task: EngineTask): Promise<EncodeResult | ApplyResult | DiffResult> {
  switch (task.kind) {
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
    return { failure: { code: error.code, message: error.message, hint: error.hint, details: error.details } };
  }
}
