import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/readme/src/index.js';

it('the example in the README runs', async () => {
  const { stdout } = await runReadmeExample(new URL('..', import.meta.url));
  expect(stdout).toContain('1073741824 bytes: hello, guest');
});
