import { expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import { informed } from './support/described.js';

test('a machine is known by its UUID, else its name, else its socket, or as it is told', () => {
  expect(informed({ uuid: '6e0d1b4c-1111-2222-3333-444455556666', name: 'web' })).toMatchObject({
    id: '6e0d1b4c-1111-2222-3333-444455556666',
    name: 'web',
  });
  expect(informed({ name: 'web 1' }).id).toBe('web_1');
  expect(informed()).toMatchObject({ id: 'vm_one', name: 'vm one' });
  expect(informed({}, 'mine-1').id).toBe('mine-1');
  expect(() => informed({}, 'a b')).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
});

test('regions have their kinds, and main memory is marked', () => {
  const { regions, platform } = informed();
  expect(regions.map(({ kind }) => kind)).toEqual(['ram', 'ram', 'device', 'rom', 'rom']);
  expect(platform['mainRam']).toBe('pc.ram');
  expect(informed({ mainRam: undefined }).platform['mainRam']).toBe('mem1');
});

test('settings that are unknown or senseless are refused by name', async () => {
  for (const config of [{ mod: 'colo' }, { mode: 'fast' }, { downtimeLimitMs: 0 }, { guard: 1 }])
    await expect(hypervisor.attach('/nowhere.sock', { config })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  await expect(hypervisor.attach('/nowhere.sock')).rejects.toMatchObject({ code: 'MACHINE_NOT_FOUND' });
});
