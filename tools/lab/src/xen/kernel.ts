import { readFileSync } from 'node:fs';
import { run } from './run.js';

/**
 * The ELF kernel inside a bzImage, unpacked here because Xen would do it in the emulator, slowly. Offsets are
 * those of Linux's x86 boot protocol: setup_sects, payload_offset, payload_length.
 */
export function unpackKernel(path: string): Buffer {
  const image = readFileSync(path);
  const setupSectors = image.readUInt8(0x1f1);
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  // The last four bytes of the payload hold its unpacked length, which xz does not expect.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
  return run('xz', ['-dc', '--single-stream'], { input: payload });
}
