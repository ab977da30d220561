export { applyBatch } from './apply.js';
export { ColdFile, type ColdFileOptions } from './cold/cold-file.js';
export { diffPages, type DiffOptions } from './diff-pages.js';
export { ImageView, type GatherOptions, type ImageHandle } from './image-view.js';
export { MemoryImage, type CaptureStats, type MemoryImageOptions } from './memory-image.js';
export { DiffPool, type DiffPoolOptions, type PagePair, type PoolCallOptions } from './pool.js';
export type { SettleOptions } from './settle.js';
export type { KernelKind, ShardHandle } from './shard.js';
export {
  runDiffTask,
  runGatherTask,
  type DiffResult,
  type DiffTask,
  type GatherTaskOptions,
} from './task.js';
