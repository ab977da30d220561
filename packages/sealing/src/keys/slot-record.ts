import { FitdocError } from '@fitdoc/interface';
import { z } from 'zod';

const hex = (bytes: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

/** Bounds on what a slot may ask of who opens it: 1 GiB of memory, at most. */
const scrypt = z
  .object({
    name: z.literal('scrypt'),
    cost: z
      .number()
      .int()
      .min(2)
      .max(2 ** 20),
    blockSize: z.number().int().min(1).max(16),
    parallelization: z.number().int().min(1).max(16),
    salt: hex(16),
  })
  .refine(({ cost, blockSize }) => Number.isInteger(Math.log2(cost)) && 128 * cost * blockSize <= 2 ** 30);

const common = {
  spec: z.literal('fitdoc-key-v1'),
  id: hex(8),
  repository: z.string().min(1).max(64),
  label: z.string().max(200),
  createdAtMs: z.number().int().min(0),
  keyId: hex(8),
  keys: z.number().int().min(1),
};
const wrapped = z.base64();

const schema = z.discriminatedUnion('kind', [
  z.object({ ...common, kind: z.literal('passphrase'), kdf: scrypt, nonce: hex(12), wrapped }),
  z.object({ ...common, kind: z.literal('key'), fingerprint: hex(8), nonce: hex(12), wrapped }),
  z.object({ ...common, kind: z.literal('recipient'), recipient: z.string().max(4096), wrapped }),
]);

/** A slot: the repository's keys, wrapped for one who has a secret. As it lies in the store, in JSON. */
export type SlotRecord = z.infer<typeof schema>;
export type ScryptSettings = z.infer<typeof scrypt>;

/** More than any slot has: one with the keys of a thousand changes has 44 KiB. */
export const MOST_SLOT_BYTES = 2 ** 20;

/** What trying a passphrase against a slot takes: bytes that scrypt goes through. */
export function workOf(record: SlotRecord): number {
  if (record.kind !== 'passphrase') return 0;
  const { cost, blockSize, parallelization } = record.kdf;
  return 128 * cost * blockSize * parallelization;
}

export function encodeSlot(record: SlotRecord): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`);
}

/** Undefined for what cannot be read as a slot. FORMAT_VERSION for one of a later version. */
export function decodeSlot(bytes: Uint8Array, key: string): SlotRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  const { success, data } = schema.safeParse(value);
  if (success) return data;
  const { spec } = (value ?? {}) as { spec?: unknown };
  if (typeof spec !== 'string' || !/^fitdoc-key-v(?!1$)\d+$/.test(spec)) return undefined;
  throw new FitdocError(
    'FORMAT_VERSION',
    `The key slot ${key} is of a version that this program does not know.`,
    {
      hint: 'Use a later version of fitdoc.',
      details: { key },
    },
  );
}
