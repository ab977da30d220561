import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { damagedVectors } from './support/damaged-vectors.js';
import { expectationOf, refusalOf } from './support/expectations.js';
import { replay } from './support/read.js';
import { validVectors } from './support/vectors.js';

const root = new URL('../vectors/', import.meta.url);
const valid = await validVectors();
const damaged = damagedVectors(valid[0]?.bytes ?? new Uint8Array(0));
const stored = async (name: string) => new Uint8Array(await readFile(new URL(`${name}.fitdoc`, root)));
const expected = async (name: string) =>
  JSON.parse(await readFile(new URL(`${name}.json`, root), 'utf8')) as unknown;

describe.each(valid)('vector $name', (vector) => {
  it('reads as its expectations say', async () => {
    const bytes = await stored(vector.name);
    const previous = valid.find(({ name }) => name === vector.after.at(-1));
    expect(await expectationOf({ ...vector, bytes }, previous)).toEqual(await expected(vector.name));
  });

  it('shows, after those before it, the memory that it should', async () => {
    const chain = await Promise.all([...vector.after, vector.name].map(stored));
    const memory = createHash('sha256')
      .update(await replay(chain))
      .digest('hex');
    expect(await expected(vector.name)).toMatchObject({ replay: { memorySha256: memory } });
  });

  it.runIf(vector.stable)('is what the writer writes', async () => {
    expect(Buffer.compare(vector.bytes, await stored(vector.name))).toBe(0);
  });
});

describe('damaged vectors', () => {
  it.each(damaged)('$name', async (vector) => {
    const bytes = await stored(`damaged/${vector.name}`);
    expect(Buffer.compare(vector.bytes, bytes)).toBe(0);
    const refusal = await refusalOf({ ...vector, bytes });
    expect(refusal).toEqual(await expected(`damaged/${vector.name}`));
    expect(refusal).toMatchObject({ error: { random: expect.stringMatching(/^FORMAT_/) as string } });
  });

  it('are all there is in the directory', async () => {
    const names = (await readdir(new URL('damaged/', root))).filter((name) => name.endsWith('.fitdoc'));
    expect(names.sort()).toEqual(damaged.map(({ name }) => `${name}.fitdoc`).sort());
  });
});
