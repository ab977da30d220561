export { makeDirectories, storeFactory } from './factory.js';
export {
  nodeFileSystem,
  type FileKind,
  type FileStat,
  type FileSystem,
  type OpenFile,
} from './file-system.js';
export { FsStore, type FsStoreOptions } from './fs-store.js';
export { thisProcessToken, type ProcessToken } from './process-token.js';
