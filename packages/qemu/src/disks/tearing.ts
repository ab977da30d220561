import type { QemuVersion } from '../qmp/client.js';

/** Bytes that the copy-before-write filter copies at once, from a multiple of as many. */
export const CLUSTER_BYTES = 65_536;

/**
 * Whether this QEMU tears a snapshot: it answers a request that begins in what the filter has copied, and ends beyond
 * that, from the disk as it is now. Its `hbitmap_status()` calls such a beginning clean; QEMU 8.0 mended it (commit
 * a4d5224c2cb6). Right are its answers within one cluster, and what it says of bytes that the filter has not copied.
 */
export function tearsSnapshots({ major }: QemuVersion): boolean {
  return major < 8;
}
