import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const COMMAND = new URL('../dist/main.js', import.meta.url).pathname;

test.each(['../README.md', '../../../docs/daemon.md'])(
  'the configuration in %s is good',
  async (document) => {
    const text = await readFile(new URL(document, import.meta.url), 'utf8');
    const [, configuration = ''] = /```toml\n(.*?)```/s.exec(text) ?? [];
    const folder = await mkdtemp(path.join(tmpdir(), 'fitdocd-readme-'));
    try {
      for (const secret of ['token', 'host1.key']) await writeFile(path.join(folder, secret), 'x'.repeat(32));
      const file = path.join(folder, 'fitdocd.toml');
      await writeFile(file, configuration.replaceAll('/etc/fitdocd/', `${folder}/`));
      const { stdout } = await promisify(execFile)(process.execPath, [COMMAND, 'check', '--config', file]);
      expect(stdout).toMatch(/ok, [1-9]\d* machine\(s\) in [1-9]\d* repository\(s\)/);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);
