export * from './batch.js';
export * from './call.js';
export * from './compressor.js';
export * from './errors.js';
export * from './hypervisor.js';
export * from './memory.js';
export * from './store.js';
export * from './store-calls.js';
