import { isFitdocError } from '@fitdoc/interface';
import { MemoryStore } from '@fitdoc/store-memory';
import { expect, it } from 'vitest';
import { Derived } from '../src/derived/derived.js';

it('keeps findings by machine, replaces them, and lets those of states that are gone go', async () => {
  const derived = new Derived(new MemoryStore());
  const [one, two] = ['a'.repeat(64), 'b'.repeat(64)];
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  expect(await derived.get('m', 'asked.json')).toBeUndefined();
  await derived.put('m', 'asked.json', bytes('1'));
  await derived.put('m', 'asked.json', bytes('2'));
  for (const state of [one, two]) await derived.put('m', `boot/${state}.json`, bytes(state));
  await derived.put('.n', `boot/${two}.json`, bytes('n'));
  expect(Buffer.from((await derived.get('m', 'asked.json'))!).toString()).toBe('2');
  await derived.keepOnly('m', async () => new Set([one]));
  expect(await derived.names('m')).toEqual(['asked.json', `boot/${one}.json`]);
  expect(await derived.names('.n', 'boot/')).toEqual([`boot/${two}.json`]);
  for (const name of ['', '../x', 'A', 'a//b', 'x'.repeat(201)])
    await expect(derived.put('m', name, bytes(''))).rejects.toSatisfy((error: unknown) =>
      isFitdocError(error, 'ARGUMENT_INVALID'),
    );
});
