import { createCipheriv, createDecipheriv } from 'node:crypto';
import { PAGE_SIZE } from '@fitdoc/interface';

const CIPHER = 'aes-256-xts';

/**
 * Pages as they lie on a disk (IEEE 1619, a page a data unit): what is left of an unlinked file after its end tells
 * nothing without the key, which is in the process's memory alone. That a page is still what was written its sum tells.
 */
export function sealPage(page: Uint8Array, number: number, key: Uint8Array): Uint8Array {
  return createCipheriv(CIPHER, key, unit(number)).update(page);
}

export function openPage(page: Uint8Array, number: number, key: Uint8Array): Uint8Array {
  return createDecipheriv(CIPHER, key, unit(number)).update(page.subarray(0, PAGE_SIZE));
}

function unit(number: number): Buffer {
  const tweak = Buffer.alloc(16);
  tweak.writeUInt32LE(number);
  return tweak;
}
