import { FitdocError } from '@fitdoc/interface';
import { expect, test } from 'vitest';
import { readConfig } from '../src/config.js';
import type { Description } from '../src/machine/describe.js';
import type { QmpClient } from '../src/qmp/client.js';
import { chooseMode, type Choice } from '../src/session/mode.js';

/** A QEMU that answers `migrate-set-capabilities` with a refusal, or takes it. */
async function choose(
  refuse: (on: readonly string[]) => string | undefined,
  { major = 10, accelerator = 'kvm', mode = 'auto', ring = false, backends = 1, disks = false } = {},
): Promise<Choice & { readonly asked: readonly (readonly string[])[] }> {
  const asked: string[][] = [];
  const execute = async (command: string, args: Record<string, unknown>): Promise<unknown> => {
    if (command === 'set-vcpu-dirty-limit')
      throw new FitdocError(
        'PROTOCOL_ERROR',
        ring ? 'incorrect cpu index specified' : 'requires dirty-ring-size',
      );
    const named = args['capabilities'] as { capability: string; state: boolean }[];
    const on = named.filter(({ state }) => state).map(({ capability }) => capability);
    asked.push(on);
    const description = refuse(on);
    if (description === undefined) return {};
    throw new FitdocError('PROTOCOL_ERROR', 'refused', { details: { description } });
  };
  const qmp = { execute, closed: new AbortController().signal } as unknown as QmpClient;
  const description = { accelerator, qemu: { major } } as Description;
  const settings = { capabilities: [], parameters: {} };
  const needs = { memoryBackends: backends, disks };
  return { ...(await chooseMode(qmp, settings, readConfig({ mode }), description, needs)), asked };
}

test('COLO goes without a return path where QEMU takes it so', async () => {
  const choice = await choose(() => undefined);
  expect(choice).toEqual({
    ...{ colo: true, returnPath: false, endsAtColo: false, limits: [] },
    asked: [['x-colo', 'events']],
  });
});

test('a migration ends where COLO begins, for disks, where COLO itself is not wanted', async () => {
  for (const how of [
    { mode: 'precopy' },
    { accelerator: 'tcg' },
    { major: 11, accelerator: 'tcg', backends: 2 },
  ]) {
    expect(await choose(() => undefined, how)).toMatchObject({ endsAtColo: false, asked: [] });
    const choice = await choose(() => undefined, { ...how, disks: true });
    expect(choice).toMatchObject({ colo: false, endsAtColo: true, asked: [['x-colo', 'events']] });
    expect(choice.limits[0]).toMatch('Each capture reads all of the memory');
  }
  const ring = { mode: 'precopy', ring: true, disks: true };
  expect(await choose(() => undefined, { ...ring, mode: 'auto' })).toMatchObject({ endsAtColo: false });
  const refused = await choose(() => 'no replication', { mode: 'precopy', disks: true });
  expect(refused).toMatchObject({ colo: false, endsAtColo: false });
});

test('COLO takes the return path that QEMU asks for', async () => {
  const choice = await choose((on) =>
    on.includes('return-path') ? undefined : "Capability 'x-colo' requires capability 'return-path'",
  );
  expect(choice).toMatchObject({ colo: true, returnPath: true, limits: [] });
});

test("where QEMU refuses COLO the note has QEMU's own words", async () => {
  const choice = await choose(() => 'QEMU compiled without replication module.');
  expect(choice).toMatchObject({ colo: false, returnPath: false });
  expect(choice.limits).toEqual([
    'Each capture reads all of the memory (this QEMU refuses COLO: QEMU compiled without replication module): its time grows with the memory.',
  ]);
  const insisting = choose(() => 'no replication', { mode: 'colo' });
  await expect(insisting).rejects.toMatchObject({
    code: 'CAPABILITY_MISSING',
    message: 'This QEMU refuses COLO: no replication.',
  });
});

test('an emulated guest has COLO from QEMU 11 on, or where its owner insists', async () => {
  expect(await choose(() => undefined, { accelerator: 'tcg' })).toMatchObject({ colo: false, asked: [] });
  expect(await choose(() => undefined, { accelerator: 'tcg', major: 11 })).toMatchObject({ colo: true });
  expect(await choose(() => undefined, { accelerator: 'tcg', mode: 'colo' })).toMatchObject({ colo: true });
  const further = { accelerator: 'tcg', major: 11, backends: 2 };
  expect(await choose(() => undefined, further)).toMatchObject({ colo: false, asked: [] });
  expect(await choose(() => undefined, { mode: 'precopy' })).toMatchObject({ colo: false, asked: [] });
});

test('of an emulated guest, and of no other, is told that QEMU can lose pages', async () => {
  for (const major of [7, 10, 11]) {
    const { limits } = await choose(() => undefined, { accelerator: 'tcg', major });
    expect(limits).toContain('Under emulation QEMU can lose pages in any migration.');
    const { limits: accelerated } = await choose(() => undefined, { accelerator: 'kvm', major });
    expect(accelerated.join()).not.toMatch(/lose pages/);
  }
});

test('with a dirty ring, on which COLO would abort QEMU, there is none', async () => {
  const choice = await choose(() => undefined, { ring: true });
  expect(choice).toMatchObject({ colo: false, asked: [] });
  expect(choice.limits[0]).toContain('dirty-ring-size');
  await expect(choose(() => undefined, { ring: true, mode: 'colo' })).rejects.toMatchObject({
    code: 'CAPABILITY_MISSING',
    message: expect.stringContaining('dirty-ring-size') as string,
  });
});
