import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/readme/src/index.js';

it('the example in the README runs', async () => {
  const { stdout } = await runReadmeExample(new URL('..', import.meta.url), { timeoutMs: 100_000 });
  expect(stdout).toBe('3 base\n');
});
