export type { Abilities, Naming } from './host/abilities.js';
export { makeDirectories, storeFactory } from './factory.js';
export {
  hostFileSystem,
  nodeFileSystem,
  type FileKind,
  type FileStat,
  type FileSystem,
  type OpenFile,
  type Readers,
} from './host/file-system.js';
export { FsStore, type FsStoreOptions } from './fs-store.js';
export { groupId } from './host/group.js';
export { thisProcessToken, type ProcessToken } from './host/process-token.js';
