import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PAGE_SIZE, type RestoreSource } from '@fitdoc/interface';
import { expect, test } from 'vitest';
import { hypervisor } from '../src/index.js';

test('what is no QMP socket is refused before anything is opened', async () => {
  for (const location of ['', 'file:x'])
    await expect(hypervisor.attach(location)).rejects.toMatchObject({ code: 'LOCATION_INVALID' });
  await expect(hypervisor.attach('/nowhere.sock')).rejects.toMatchObject({ code: 'MACHINE_NOT_FOUND' });
  await expect(hypervisor.attach('/nowhere.sock', { config: { mod: 1 } })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    hint: expect.stringContaining('Settings of kvm:') as string,
  });
});

test('a restore to file: writes a stream, and one to a socket needs a QEMU there', async () => {
  const source: RestoreSource = {
    info: {
      id: 'm',
      name: 'm',
      hypervisor: 'qemu 7.2.22',
      scheme: 'kvm',
      architecture: 'x86_64',
      regions: [{ name: 'pc.ram', firstGfn: 0, pages: 2, kind: 'ram' }],
      platform: { machineType: 'pc-i440fx-7.2' },
      disks: [],
    },
    deviceState: [
      { name: 'configuration', bytes: new Uint8Array() },
      { name: 'devices', bytes: new Uint8Array([0]) },
    ],
    pages: async function* () {
      yield { gfn: 1, bytes: new Uint8Array(PAGE_SIZE).fill(7) };
    },
  };
  const directory = await mkdtemp(path.join(tmpdir(), 'fitdoc-kvm-'));
  try {
    const file = path.join(directory, 'stream');
    expect(await hypervisor.restore(`file:${file}`, source)).toMatchObject({ state: 'written', pages: 1 });
    expect((await readFile(file)).subarray(0, 4).toString('latin1')).toBe('QEVM');
    await expect(hypervisor.restore('/nowhere.sock', source)).rejects.toMatchObject({
      code: 'MACHINE_NOT_FOUND',
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});
