import { describe, expect, test } from 'vitest';
import { parseMockLocation } from '../src/location.js';
import { MockHypervisor } from '../src/mock-hypervisor.js';
import { parseSettings } from '../src/settings.js';
import { parseDuration, parseSize } from '../src/units.js';

const code = (name: string) => expect.objectContaining({ code: name }) as Error;

test.each([
  ['vm1', 'name', 'vm1', ''],
  ['mock:vm1?seed=3', 'name', 'vm1', 'seed=3'],
  ['file:/a/b c', 'file', '/a/b c', ''],
  ['trace:what?.zst?from=2', 'trace', 'what?.zst', 'from=2'],
])('%s', (location, kind, target, query) => {
  expect(parseMockLocation(location)).toEqual({ kind, target, query });
});

test.each(['', '?seed=1', 'a/b', 'ä', 'file:', 'trace:?from=1', 'x'.repeat(65)])(
  '"%s" is refused',
  (location) => {
    expect(() => parseMockLocation(location)).toThrow(code('LOCATION_INVALID'));
  },
);

test('sizes and times', () => {
  expect(['4096', '64K', '2M', '1G', '1GiB', '8 M', '-1', ''].map(parseSize)).toEqual([
    4096,
    65536,
    2097152,
    2 ** 30,
    2 ** 30,
    undefined,
    undefined,
    undefined,
  ]);
  expect(['5', '5ms', '1.5s', '1m', 'soon'].map(parseDuration)).toEqual([5, 5, 1500, 60000, undefined]);
});

describe('parameters', () => {
  test('of other names are refused, with those there are', () => {
    expect(() => parseSettings('sed=7')).toThrow(
      expect.objectContaining({
        code: 'LOCATION_INVALID',
        hint: expect.stringContaining('seed') as string,
      }) as Error,
    );
    expect(() => parseSettings('toString=7')).toThrow(code('LOCATION_INVALID'));
  });

  test.each([
    'memory=3',
    'memory=128G',
    'memory=1000001',
    'workload=x',
    'words=0',
    'words=513',
    'rewrites=2',
    'seed=-1',
    'die-at=0',
    'tick=often',
    'proof=maybe',
  ])('%s is refused', (query) => expect(() => parseSettings(query)).toThrow(code('LOCATION_INVALID')));

  test('come from the query and from config, which wins', () => {
    expect(parseSettings('seed=7&words=3', { seed: 8, workload: 'redis' })).toEqual({
      seed: 8,
      words: 3,
      workload: 'kv',
    });
  });

  test('belong where they mean something', async () => {
    const hypervisor = new MockHypervisor();
    await expect(hypervisor.attach('file:x?memory=8M')).rejects.toThrow(code('LOCATION_INVALID'));
    await expect(hypervisor.attach('a?proof=no')).rejects.toThrow(code('LOCATION_INVALID'));
    await expect(hypervisor.attach('a?memory=1M&working=1M')).rejects.toThrow(code('LOCATION_INVALID'));
  });

  test('must suit the machine that runs under the name', async () => {
    const hypervisor = new MockHypervisor();
    await (await hypervisor.attach('a?memory=8M&seed=2')).detach();
    await expect(hypervisor.attach('a?memory=16M')).rejects.toThrow(code('LOCATION_INVALID'));
    await (await hypervisor.attach('a?seed=2&steps=3')).detach();
  });

  test('an identity is checked', async () => {
    const attach = new MockHypervisor().attach('a?memory=8M', { machineId: 'no/slash' });
    await expect(attach).rejects.toThrow(code('ARGUMENT_INVALID'));
  });
});
