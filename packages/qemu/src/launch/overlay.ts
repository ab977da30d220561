import { open } from 'node:fs/promises';
import { FitdocError } from '@fitdoc/interface';

const CLUSTER = 1 << 16;
/** Bytes of a disk that an entry of the first table stands for: a cluster of entries, of 8 bytes, of clusters. */
const REACH = (CLUSTER / 8) * CLUSTER;
const HEADER_BYTES = 104;

/**
 * Writes an empty qcow2 image of a disk of `sizeBytes`, whose backing image is named when it is opened. As QEMU's
 * docs/interop/qcow2.txt has it: version 3, clusters of 64 KiB; the header, a table of tables of reference counts, one of
 * those, and the first table of the disk's clusters, which is empty. Errors: ARGUMENT_INVALID beyond 4 TiB.
 */
export async function makeOverlay(file: string, sizeBytes: number): Promise<void> {
  const entries = Math.max(1, Math.ceil(sizeBytes / REACH));
  if (entries * 8 > CLUSTER)
    throw new FitdocError('ARGUMENT_INVALID', `A disk of ${sizeBytes} bytes is too large for an overlay.`, {
      hint: 'Give it an image of its own, behind --.',
    });
  const image = Buffer.alloc(4 * CLUSTER);
  image.writeUInt32BE(0x514649fb, 0);
  image.writeUInt32BE(3, 4);
  image.writeUInt32BE(16, 20);
  image.writeBigUInt64BE(BigInt(sizeBytes), 24);
  image.writeUInt32BE(entries, 36);
  image.writeBigUInt64BE(BigInt(3 * CLUSTER), 40);
  image.writeBigUInt64BE(BigInt(CLUSTER), 48);
  image.writeUInt32BE(1, 56);
  // Reference counts of 2^4 bits.
  image.writeUInt32BE(4, 96);
  image.writeUInt32BE(HEADER_BYTES, 100);
  image.writeBigUInt64BE(BigInt(2 * CLUSTER), CLUSTER);
  for (let cluster = 0; cluster < 4; cluster++) image.writeUInt16BE(1, 2 * CLUSTER + 2 * cluster);
  const handle = await open(file, 'wx', 0o600);
  await handle.writeFile(image).finally(() => handle.close());
}
