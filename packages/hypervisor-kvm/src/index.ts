export { hypervisor } from './hypervisor.js';
export {
  guardPid,
  qemuStream,
  writeQemuStream,
  writeRamFile,
  type QemuConfig as KvmConfig,
  type QemuStreamOptions,
  type RestoreConfig,
} from '@fitdoc/qemu';
