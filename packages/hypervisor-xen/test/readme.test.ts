import { expect, test } from 'vitest';
import { runReadmeExample } from '../../../tools/readme/src/index.js';

test('the example in the README runs', async () => {
  const { stdout } = await runReadmeExample(new URL('..', import.meta.url));
  expect(stdout).toMatch(/^ram 20480, firmware 64, special 32\n(CAPABILITY_MISSING|MACHINE_NOT_FOUND|xen 4)/);
});
