import fc from 'fast-check';
import { expect, test } from 'vitest';
import { originalSettings, type MigrationSettings } from '../src/session/settings.js';

const names = ['events', 'x-colo', 'return-path', 'xbzrle', 'multifd', 'auto-converge', 'postcopy-ram'];
const ours = new Set(['events', 'x-colo', 'return-path']);

const operators = fc.record({
  capabilities: fc
    .tuple(...names.map(() => fc.boolean()))
    .map((states) => names.map((capability, index) => ({ capability, state: states[index]! }))),
  parameters: fc.record({
    'max-bandwidth': fc.integer({ min: 1, max: 1e9 }),
    'downtime-limit': fc.integer({ min: 1, max: 1e5 }),
    'x-checkpoint-delay': fc.integer({ min: 1, max: 1e5 }),
    'tls-creds': fc.constantFrom('', 'tls0'),
  }),
});

/** As an attachment sets QEMU: some of what it may turn on, none of the rest. */
const attached = (before: MigrationSettings, colo: boolean, shielded: boolean): MigrationSettings => ({
  capabilities: before.capabilities.map(({ capability }) => ({
    capability,
    state:
      capability === 'events' ||
      (colo && capability === 'x-colo') ||
      (shielded && capability === 'postcopy-ram'),
  })),
  parameters: {
    'max-bandwidth': 10_000_000_000,
    'downtime-limit': 400,
    'tls-creds': '',
    'x-checkpoint-delay': colo ? 5 : before.parameters['x-checkpoint-delay']!,
  },
});

test('what an attachment that nobody ended left is told from what the operator had', () => {
  fc.assert(
    fc.property(operators, fc.boolean(), fc.boolean(), (before, colo, shielded) => {
      const found = originalSettings(attached(before, colo, shielded), before);
      expect(found.parameters).toEqual(before.parameters);
      for (const { capability, state } of before.capabilities) {
        const now = found.capabilities.find((each) => each.capability === capability)?.state;
        // One of ours that is off now was turned off by the operator, or never turned on: off is as good.
        const touched = !ours.has(capability) || capability === 'events' || (colo && capability === 'x-colo');
        expect(now).toBe(touched ? state : false);
      }
    }),
  );
});

test('what the operator set since is the operator’s', () => {
  const before = {
    capabilities: [{ capability: 'xbzrle', state: false }],
    parameters: { 'max-bandwidth': 1 },
  };
  const now = { capabilities: [{ capability: 'xbzrle', state: true }], parameters: { 'max-bandwidth': 2 } };
  expect(originalSettings(now, before)).toEqual(now);
});
