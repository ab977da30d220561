import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MachineInfo } from '@fitdoc/interface';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { launcher } from '../src/launch/launcher.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fitdoc-launcher-'));
});
afterEach(() => rm(directory, { recursive: true }));

const info: MachineInfo = {
  ...{ id: 'm', name: 'm', hypervisor: 'qemu 7.2.22', scheme: 'kvm', architecture: 'x86_64' },
  regions: [{ name: 'pc.ram', firstGfn: 0, pages: 1024, kind: 'ram' }],
  ...{ platform: { mainRam: 'pc.ram' }, disks: [] },
};

/** Opens its QMP socket, and no more. */
const QEMU = `#!${process.execPath}
const qmp = process.argv[process.argv.indexOf('-qmp') + 1];
require('node:net').createServer().listen(qmp.slice('unix:'.length).split(',')[0]);
`;

const apart = spawnSync('unshare', ['-rn', 'true']).status === 0;
const unable = apart ? '' : ' (not run: want of the right to make one)';

async function launches(before: readonly string[]): Promise<void> {
  const program = join(directory, 'qemu-system-x86_64');
  await writeFile(program, QEMU, { mode: 0o700 });
  const changed = [...before, program, '-nodefaults'];
  const launched = await launcher.launch(info, { directory: join(directory, 'machine'), changed });
  expect(launched.location).toBe(join(directory, 'machine', 'qmp.sock'));
  await launched.end();
}

test('a QEMU is ready once its socket accepts connections', () => launches([]));

test.skipIf(!apart)(`so is one that has a network of its own${unable}`, () => launches(['unshare', '-rn']));
