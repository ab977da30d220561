import { expect, test } from 'vitest';
import { chooseShield, lower, raise } from '../src/session/shield.js';
import type { QmpClient } from '../src/qmp/client.js';

const postcopy = ['postcopy-ram', 'postcopy-preempt'].map((capability) => ({ capability, state: false }));

function choose(text: string, capabilities = postcopy, parameters = {}): ReturnType<typeof chooseShield> {
  const [major, minor, micro] = text.split('.').map(Number);
  return chooseShield({ major: major!, minor: minor!, micro: micro!, text }, { capabilities, parameters });
}

test('the shield is what a QEMU needs and has, and the rest is said', () => {
  expect(choose('7.0.0', postcopy.slice(0, 1))).toMatchObject({ shield: undefined });
  expect(choose('7.0.0', postcopy.slice(0, 1)).limits.join()).toMatch(/kills QEMU 7\.0\.0/);
  expect(choose('7.2.22')).toMatchObject({ shield: 'capabilities' });
  expect(choose('7.2.22').limits.join()).toMatch(/"migrate"[^]*7\.2\.22/);
  expect(choose('8.2.0', postcopy, { mode: 'normal' })).toEqual({ shield: 'mode', limits: [] });
  expect(choose('9.1.2', postcopy, { mode: 'normal' })).toEqual({ shield: 'mode', limits: [] });
  for (const version of ['9.2.0', '10.0.13', '11.1.3'])
    expect(choose(version, postcopy, { mode: 'normal' })).toEqual({ shield: undefined, limits: [] });
});

test('what is put up is taken down', async () => {
  const set = new Map<string, unknown>();
  const execute = async (_: string, args: Record<string, unknown>): Promise<unknown> => {
    const { capabilities, ...parameters } = args;
    for (const each of (capabilities ?? []) as { capability: string; state: boolean }[])
      set.set(each.capability, each.state);
    for (const [name, value] of Object.entries(parameters)) set.set(name, value);
    return {};
  };
  const qmp = { execute } as unknown as QmpClient;
  for (const shield of ['capabilities', 'mode', undefined] as const) await raise(qmp, shield);
  expect(Object.fromEntries(set)).toEqual({
    'postcopy-ram': true,
    'postcopy-preempt': true,
    mode: 'cpr-reboot',
  });
  for (const shield of ['capabilities', 'mode', undefined] as const) await lower(qmp, shield);
  expect(Object.fromEntries(set)).toEqual({
    'postcopy-ram': false,
    'postcopy-preempt': false,
    mode: 'normal',
  });
});
