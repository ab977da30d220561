import { expect, test } from 'vitest';
import { isMachinePattern, matchesName, parseMachinePattern } from '../src/index.js';

test('a pattern is a location with wildcards in the name', () => {
  expect(parseMachinePattern('libvirt:*')).toEqual({ scheme: 'libvirt', name: '*' });
  expect(parseMachinePattern('libvirt:qemu+unix:///system?socket=/run/x#web-?')).toEqual({
    ...{ scheme: 'libvirt', place: 'qemu+unix:///system?socket=/run/x', name: 'web-?' },
  });
  for (const other of ['web', 'libvirt:web', 'libvirt:qemu:///system?socket=/a#web', '*'])
    expect(isMachinePattern(other), other).toBe(false);
  expect(() => parseMachinePattern('libvirt:web')).toThrow(/no pattern/);
});

test.each([
  ['web-1', 'web-*', true],
  ['a.web-1', 'web-*', false],
  ['web', 'we?', true],
  ['weeb', 'we?', false],
  ['a+b', 'a+*', true],
  ['aab', 'a+*', false],
  ['axb', 'a.b', false],
])('%s fits %s: %s', (name, wild, fits) => {
  expect(matchesName(name, wild)).toBe(fits);
});
