import { expect, test } from 'vitest';
import { runReadmeExample } from '../../../tools/readme/src/index.js';

test('the example in the README runs', async () => {
  const { stdout } = await runReadmeExample(new URL('..', import.meta.url));
  expect(stdout).toBe('7: 1\n512: 100\n[ 7, 512, 513, 514 ]\n');
});
