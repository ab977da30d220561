export type { KvmConfig } from './config.js';
export { guardPid } from './guard/guard.js';
export { hypervisor } from './hypervisor.js';
export { writeRamFile } from './restore/file.js';
export type { RestoreConfig } from './restore/options.js';
export { qemuStream, writeQemuStream, type QemuStreamOptions } from './stream/write.js';
