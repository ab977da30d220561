import { type Hypervisor } from '@fitdoc/interface';
import { qemuHypervisor } from '@fitdoc/qemu';
import { door } from './attach/door.js';
import { findMachines } from './machines/list.js';
import { restore } from './restore/restore.js';

const qemu = qemuHypervisor(door);

/**
 * The adapter for libvirt's QEMU domains: `libvirt:DOMAIN`, `libvirt:URI#DOMAIN`, by name or UUID. A restore's location
 * may be `file:PATH`: then an image for "virsh restore" is written.
 */
export const hypervisor: Hypervisor = Object.freeze({
  specificationVersion: qemu.specificationVersion,
  scheme: qemu.scheme,
  attach: async (location, options) => qemu.attach(location, options),
  supports: Object.freeze({ attach: true, restore: true, machines: true, patterns: true }),
  restore,
  machines: findMachines,
} satisfies Hypervisor);
