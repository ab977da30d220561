import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readmeExamples, runReadmeExample } from '../src/index.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-readme-test-'));
  await writeFile(
    path.join(directory, 'package.json'),
    '{"name":"self","type":"module","exports":"./main.js"}',
  );
  await writeFile(path.join(directory, 'main.js'), 'export const answer = 42;\n');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function readme(...blocks: string[]): Promise<void> {
  const text = blocks.map((block) => `\n\`\`\`ts\n${block}\n\`\`\`\n`).join('\n');
  return writeFile(path.join(directory, 'README.md'), `# self\n\n\`\`\`sh\nexit 1\n\`\`\`\n${text}`);
}

test('finds the ts blocks and no others', () => {
  expect(readmeExamples('```ts\na\n```\n```js\nb\n```\ntext\n```ts\nc\nd\n```\n')).toEqual(['a\n', 'c\nd\n']);
});

test('runs an example that imports the package by its own name, and cleans up', async () => {
  await readme("import { answer } from 'self';\nconst value: number = answer;\nconsole.log(value);");
  expect((await runReadmeExample(directory)).stdout).toBe('42\n');
  expect(await readdir(path.join(directory, '.reports'))).toEqual([]);
});

test('runs the block that is asked for', async () => {
  await readme('process.exit(1)', 'console.log("second")');
  expect((await runReadmeExample(directory, { index: 1 })).stdout).toBe('second\n');
});

test('an example that throws is a failure that shows why', async () => {
  await readme('throw new Error("broken promise");');
  await expect(runReadmeExample(directory)).rejects.toThrow('broken promise');
});

test('an example that hangs is a failure', async () => {
  await readme('setInterval(() => {}, 1000);');
  await expect(runReadmeExample(directory, { timeoutMs: 300 })).rejects.toThrow('failed');
});

test('a README without an example is a failure', async () => {
  await readme();
  await expect(runReadmeExample(directory)).rejects.toThrow('no ```ts block');
});
