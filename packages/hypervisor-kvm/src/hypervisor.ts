import type { Hypervisor, RestoreOptions, RestoreReport, RestoreSource } from '@fitdoc/interface';
import { attach } from './attach.js';
import { restoreToFile } from './restore/file.js';
import { restoreIncoming } from './restore/incoming.js';
import { readRestoreConfig } from './restore/options.js';

/**
 * The adapter for unmodified QEMU, `kvm:PATH`. To attach, PATH is the QMP socket of a running guest. To
 * restore, it is the QMP socket of a QEMU waiting with `-incoming defer`, or `file:PATH` for a stream file.
 */
export const hypervisor: Hypervisor = Object.freeze({
  specificationVersion: 'hypervisor-v1',
  scheme: 'kvm',
  supports: Object.freeze({ attach: true, restore: true }),
  attach,
  restore,
});

async function restore(
  location: string,
  source: RestoreSource,
  options: RestoreOptions = {},
): Promise<RestoreReport> {
  const config = readRestoreConfig(options.config);
  if (location.startsWith('file:')) return restoreToFile(location.slice('file:'.length), source, options);
  return restoreIncoming(location, source, config, options);
}
