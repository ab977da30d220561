export { FORMAT_VERSION, OLDEST_FORMAT_VERSION } from './layout.js';
export { LIMITS } from './limits.js';
export { bytesSource, storeSource, type RangedSource } from './ranged-source.js';
export { CheckpointReader, openCheckpoint, type OpenOptions, type ReadOptions } from './reader.js';
export { sealBatch, type RecordSeal } from './seal.js';
export { readSummary, type TailOptions } from './tail.js';
export type * from './types.js';
export type { Finding, VerifyOptions, VerifyReport } from './verify.js';
export { writeCheckpoint, type CheckpointOutput, type WriteOptions } from './writer.js';
