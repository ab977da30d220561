import { readFileSync } from 'node:fs';
import type { SlotRecord } from '../../src/index.js';

export interface Vectors {
  readonly repositoryId: string;
  readonly repositoryKey: string;
  readonly keyId: string;
  readonly objects: readonly {
    readonly name: string;
    readonly scope: string;
    /** The plain bytes are `patterned` of this length. */
    readonly plainBytes: number;
    readonly header: string;
    readonly lastTag: string;
    readonly sealedSha256: string;
    readonly sealed?: string;
  }[];
  readonly passphrase: string;
  readonly key: string;
  readonly identity: string;
  readonly slots: readonly SlotRecord[];
}

export function readVectors(): Vectors {
  return JSON.parse(
    readFileSync(new URL('../../vectors/sealing-v1.json', import.meta.url), 'utf8'),
  ) as Vectors;
}

/** Byte i is (i * 7 + (i >> 8)) mod 256. */
export function patterned(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8)));
}
