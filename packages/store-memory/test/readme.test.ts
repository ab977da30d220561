import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('the example in the README runs', () => {
  const root = join(import.meta.dirname, '..');
  const example = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1];
  if (!example) throw new Error('README.md has no example');
  const folder = mkdtempSync(join(root, '.readme-'));
  try {
    writeFileSync(join(folder, 'example.mjs'), example);
    const output = execFileSync(process.execPath, ['example.mjs'], { cwd: folder, encoding: 'utf8' });
    expect(output).toContain('notes/first.txt 5');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
