import { expect, test } from 'vitest';
import { runReadmeExample } from '../../../tools/readme/src/index.js';

test('the example in the README runs', async () => {
  const { stdout } = await runReadmeExample(new URL('..', import.meta.url));
  expect(stdout).toBe('[ 1000000 ] 13 words\n');
});
