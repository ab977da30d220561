export * from './build.js';
export type { ArchiveFile } from './cpio.js';
export * from './disk-guest.js';
export * from './guest.js';
export * from './heartbeats.js';
export * from './host.js';
export * from './install.js';
export * from './releases.js';
