import { execFile } from 'node:child_process';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { RestoreSource } from '@fitdoc/interface';
import { describe, expect, test } from 'vitest';
import { loadMachine } from '../src/machine-file.js';
import { MockHypervisor } from '../src/mock-hypervisor.js';
import type { MockGuest } from '../src/mock-guest.js';
import { WORKLOAD_NAMES } from '../src/settings.js';
import { attach, capture, checkpoint, directory, OracleSink } from './support.js';

describe.each(WORKLOAD_NAMES)('%s', (workload) => {
  test('a restored machine is the same, and goes on as the original does', async () => {
    const { hypervisor, machine, guest } = await attach(`a?memory=6M&rate=150&workload=${workload}`);
    const source = await checkpoint(machine, 4);
    const report = await hypervisor.restore('b', source);
    const file = path.join(await directory(), 'c');
    await hypervisor.restore(`file:${file}`, source);
    expect(report.state).toBe('running');
    expect(report.notes.join()).toContain('checksum');
    const restored = hypervisor.machine('b') as MockGuest;
    const copies = [restored, await loadMachine(file)];
    for (let round = 0; round < 3; round++) {
      for (const copy of copies) expect(copy.hash()).toBe(guest.hash());
      for (const each of [guest, ...copies]) each.run(1 + round);
    }
    expect(restored.proof().ok).toBe(true);
  });
});

test('a machine in a file goes on in another process, and keeps what it did', async () => {
  const { hypervisor, machine, guest } = await attach('a?memory=8M&rate=50');
  const file = path.join(await directory(), 'vm');
  await hypervisor.restore(`file:${file}`, await checkpoint(machine));
  const script = `
    import { hypervisor, machineHash } from '@fitdoc/hypervisor-mock';
    const location = 'file:' + process.argv[1];
    console.log(await machineHash(location));
    const machine = await hypervisor.attach(location);
    const sink = { memory: new Uint8Array(4096 * 65536), reserve: () => true, zero() {},
      place(gfn, count) { return this.memory.subarray(gfn * 4096, (gfn + count) * 4096); } };
    for (let i = 0; i < 3; i++) await (await machine.capture(sink)).commit();
    await machine.detach();
    console.log(machine.info.id, await machineHash(location));`;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, file], {
    cwd: path.dirname(import.meta.dirname),
  });
  const [before, after] = (await run).stdout.trim().split('\n');
  expect(before).toBe(guest.hash());
  guest.run(3);
  expect(after).toBe(`a ${guest.hash()}`);
});

test('the file of a machine is its memory, raw', async () => {
  const { hypervisor, machine } = await attach('a?memory=8M&rate=50');
  const sink = new OracleSink(machine.info.regions);
  const source = sink.source(machine, await capture(machine, sink, 2));
  const file = path.join(await directory(), 'vm');
  expect((await hypervisor.restore(`file:${file}`, source)).state).toBe('written');
  expect(Buffer.compare(await readFile(file), sink.memory)).toBe(0);
});

test('a file that is there is replaced only when that was said, its other half too', async () => {
  const { hypervisor, machine } = await attach('a?memory=8M&rate=50');
  const source = await checkpoint(machine);
  const file = path.join(await directory(), 'vm');
  for (const mine of [file, `${file}.state`]) {
    await writeFile(mine, 'mine');
    await expect(hypervisor.restore(`file:${file}`, source)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      message: `${mine} is there already.`,
    });
    expect(await readFile(mine, 'utf8')).toBe('mine');
    await rm(mine);
  }
  await writeFile(file, 'mine');
  await hypervisor.restore(`file:${file}`, source, { replace: true });
  expect((await stat(file)).size).toBeGreaterThanOrEqual(8 << 20);
});

test.each(['memory=16M', 'workload=idle', 'seed=9', 'rate=1'])(
  'a target with %s is refused',
  async (query) => {
    const { hypervisor, machine } = await attach('a?memory=8M&rate=50');
    const source = await checkpoint(machine);
    await expect(hypervisor.restore(`b?${query}`, source)).rejects.toMatchObject({
      code: 'MACHINE_INCOMPATIBLE',
      message: expect.stringContaining(query.split('=')[0] as string) as string,
    });
    expect(hypervisor.machine('b')).toBeUndefined();
    await hypervisor.restore('b?memory=8M&rate=50', source);
  },
);

test('a machine that runs is replaced when nobody is attached and it fits', async () => {
  const { hypervisor, machine, guest } = await attach('a?memory=8M&rate=50');
  const source = await checkpoint(machine);
  const then = guest.hash();
  await expect(hypervisor.restore('a', source)).rejects.toMatchObject({ code: 'MACHINE_BUSY' });
  guest.run(5);
  await machine.detach();
  await hypervisor.restore('a', source);
  expect(hypervisor.machine('a')?.hash()).toBe(then);
  await (await hypervisor.attach('other?memory=16M')).detach();
  await expect(hypervisor.restore('other', source)).rejects.toMatchObject({ code: 'MACHINE_INCOMPATIBLE' });
});

describe('a checkpoint that lost something', () => {
  const lossy = (source: RestoreSource, change: (bytes: Uint8Array) => boolean): RestoreSource => ({
    ...source,
    async *pages(options) {
      for await (const { gfn, bytes } of source.pages(options)) {
        const copy = bytes.slice();
        if (gfn !== 300 || change(copy)) yield { gfn, bytes: copy };
      }
    },
  });

  test.each([
    ['a page', () => false],
    ['a bit', (bytes: Uint8Array) => ((bytes[4095] = (bytes[4095] ?? 0) ^ 1), true)],
  ] as const)('%s is found by the guest itself', async (_what, change) => {
    const { hypervisor, machine } = await attach('a?memory=8M&rate=50');
    const source = lossy(await checkpoint(machine), change);
    const place = await directory();
    await expect(hypervisor.restore('b', source)).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    expect(hypervisor.machine('b')).toBeUndefined();
    await expect(hypervisor.restore(`file:${place}/vm`, source)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
    expect(await readdir(place)).toEqual([]);
    await hypervisor.restore('b?proof=no', source);
    expect(hypervisor.machine('b')?.proof().ok).toBe(false);
  });
});

test('device state that is none of the mock is refused', async () => {
  const { hypervisor, machine } = await attach('a?memory=8M');
  const source = await checkpoint(machine);
  const [board, ...rest] = source.deviceState;
  const strange = [
    { ...source, deviceState: [] },
    { ...source, deviceState: rest },
    { ...source, deviceState: [...source.deviceState, { name: 'more', bytes: new Uint8Array(1) }] },
    { ...source, deviceState: [{ name: 'board', bytes: Uint8Array.of(123) }, ...rest] },
    { ...source, deviceState: [board!, ...rest.map(({ name }) => ({ name, bytes: new Uint8Array(3) }))] },
    { ...source, info: { ...source.info, scheme: 'kvm' } },
    { ...source, info: { ...source.info, platform: { machine: 'mock-99' } } },
  ];
  for (const each of strange) {
    await expect(hypervisor.restore('b', each)).rejects.toMatchObject({ code: 'MACHINE_INCOMPATIBLE' });
  }
});

test('a restore that cannot be written leaves nothing', async () => {
  const { hypervisor, machine } = await attach('a?memory=8M');
  const source = await checkpoint(machine);
  const place = await directory();
  await expect(hypervisor.restore(`file:${place}/none/vm`, source)).rejects.toMatchObject({
    code: 'RESTORE_FAILED',
  });
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  const { signal } = controller;
  await expect(hypervisor.restore(`file:${place}/vm`, source, { signal, onProgress })).rejects.toMatchObject({
    code: 'ABORTED',
  });
  expect(await readdir(place)).toEqual([]);
});

test('files that are no machine are refused', async () => {
  const hypervisor = new MockHypervisor();
  const file = path.join(await directory(), 'vm');
  await expect(hypervisor.attach(`file:${file}`)).rejects.toMatchObject({ code: 'MACHINE_NOT_FOUND' });
  for (const text of ['', '{', '{}', 'null', '{"format":"fitdoc-mock-machine-v9"}']) {
    await writeFile(`${file}.state`, text);
    await expect(hypervisor.attach(`file:${file}`)).rejects.toMatchObject({ code: 'LOCATION_INVALID' });
  }
  const { machine } = await attach('a?memory=8M');
  await hypervisor.restore(`file:${file}`, await checkpoint(machine), { replace: true });
  await writeFile(file, 'short');
  await expect(hypervisor.attach(`file:${file}`)).rejects.toMatchObject({ code: 'LOCATION_INVALID' });
});
