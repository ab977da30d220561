import { expect, it } from 'vitest';
import { openCheckpoint, bytesSource } from '../src/index.js';
import { sealRecord } from '../src/seal.js';
import { forge } from './support/forge.js';
import { takeApart } from './support/parts.js';
import { failure } from './support/read.js';
import { plainCodec, sampleBase } from './support/sample.js';

it('integrity "hash" refuses a batch that only its checksum vouches for', async () => {
  const parts = takeApart((await sampleBase()).bytes);
  // As if someone had found other bytes with the same XXH64: the index names the strong hash of the first ones.
  const records = parts.records.map((record, number) => {
    if (number !== 1) return record;
    const { hash } = sealRecord(record.type, new Uint8Array(8));
    return { ...record, claim: { ...record.claim, hash } };
  });
  const source = bytesSource(forge({ ...parts, records }));
  const trusting = await openCheckpoint(source, { codec: plainCodec });
  expect(await failure(() => trusting.readBatch(0))).toBe('no error');
  const strict = await openCheckpoint(source, { codec: plainCodec, integrity: 'hash' });
  expect(await failure(() => strict.readBatch(0))).toBe('FORMAT_DAMAGED');
  expect(await failure(() => strict.readBatch(1))).toBe('no error');
  const report = await trusting.verify({ data: true });
  expect(report.findings).toMatchObject([{ code: 'FORMAT_DAMAGED', record: 'BTCH' }]);
});
