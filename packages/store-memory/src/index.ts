export { MemoryStore, type MemoryStoreOptions } from './memory-store.js';
export { forgetMemoryStores, storeFactory } from './factory.js';
