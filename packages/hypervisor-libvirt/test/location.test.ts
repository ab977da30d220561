import { expect, test } from 'vitest';
import { formatDomainLocation, parseDomainLocation } from '../src/connection/location.js';
import { nearest } from '../src/connection/near.js';

test('a location is a domain, with the URI of its hypervisor before it where that is another', () => {
  expect(parseDomainLocation('web', {})).toEqual({ uri: 'qemu:///system', domain: 'web' });
  expect(parseDomainLocation('web', { LIBVIRT_DEFAULT_URI: 'qemu:///session' }).uri).toBe('qemu:///session');
  const remote = 'qemu+unix:///system?socket=/run/a#b/libvirt-sock#web';
  expect(parseDomainLocation(remote, {})).toEqual({
    uri: 'qemu+unix:///system?socket=/run/a#b/libvirt-sock',
    domain: 'web',
  });
  for (const wrong of ['', 'qemu:///system#', 'system#web'])
    expect(() => parseDomainLocation(wrong, {})).toThrow(
      expect.objectContaining({ code: 'LOCATION_INVALID' }),
    );
});

test('it is shown as it would be typed', () => {
  for (const text of ['web', 'qemu:///session#web'])
    expect(formatDomainLocation(parseDomainLocation(text, {}))).toBe(`libvirt:${text}`);
});

test('the names nearest to one that is not there come first', () => {
  const names = ['mail', 'web-1', 'database', 'wab', 'x', 'y', 'z'];
  expect(nearest('web', names).slice(0, 2)).toEqual(['web-1', 'wab']);
  expect(nearest('WEB-1', names)[0]).toBe('web-1');
  expect(nearest('a', names)).toHaveLength(5);
  expect(nearest('a', [])).toEqual([]);
});
