export { KeyRing } from './keys/key-ring.js';
export {
  KEYS_PREFIX,
  KeySlots,
  shown,
  type KeySlotsOptions,
  type RotateOptions,
  type SlotInfo,
  type Unlocked,
} from './keys/key-slots.js';
export {
  newKeyText,
  parseKeyFile,
  parsePassphrase,
  printKey,
  wipeSecret,
  type Holder,
  type Secret,
} from './keys/secret.js';
export { decodeSlot, type SlotRecord } from './keys/slot-record.js';
export { fingerprintOf, recipientOf, type ScryptCost } from './keys/wrap.js';
export { plainSize, sealedSize } from './object/layout.js';
export { keyIdOf, SealedBytes } from './sealed-bytes.js';
export { SealedStore, type SealedStoreOptions } from './sealed-store.js';
export {
  passphraseOfCommand,
  passphraseOfDescriptor,
  passphraseOfFile,
  secretOfKeyFile,
  type OnNote,
} from './keys/sources.js';
