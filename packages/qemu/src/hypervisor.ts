import type { Hypervisor } from '@fitdoc/interface';
import { attach } from './attach.js';
import { clean } from './clean.js';
import type { Door } from './door.js';
import { resumeIncoming } from './postcopy/resume.js';
import { restoreIncoming } from './restore/incoming.js';
import { readRestoreConfig } from './restore/options.js';

/**
 * What is asked of a hypervisor's port, of the QEMUs behind a door: attaches to a running guest, restores into a QEMU
 * that waits with `-incoming defer`, goes on with a lazy restore.
 */
export function qemuHypervisor(door: Door): Hypervisor {
  const { scheme } = door;
  return Object.freeze({
    specificationVersion: 'hypervisor-v1',
    scheme,
    supports: Object.freeze({ attach: true, restore: true }),
    attach: async (location, options) => attach(door, location, options),
    restore: async (location, source, options = {}) => {
      const given = readRestoreConfig(options.config, scheme);
      const config = { ...given, ramFile: options.memoryFile ?? given.ramFile };
      return restoreIncoming(door, location, source, config, options);
    },
    clean: async (location, options) => clean(door, location, options),
    resume: async (location, source, options = {}) => {
      const config = readRestoreConfig(options.config, scheme);
      return resumeIncoming(door, location, source, config, options);
    },
  } satisfies Hypervisor);
}
