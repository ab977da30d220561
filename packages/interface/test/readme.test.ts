import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/readme/src/index.js';
import { ERROR_CODES } from '../src/index.js';

it('the example in the README runs', async () => {
  const { stdout } = await runReadmeExample(new URL('..', import.meta.url));
  expect(stdout).toContain('65600');
  expect(stdout).toContain('true false');
});

it('the README explains every error code', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  expect(ERROR_CODES.filter((code) => !readme.includes(`\`${code}\``))).toEqual([]);
});
