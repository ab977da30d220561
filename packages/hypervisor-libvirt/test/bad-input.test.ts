import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  defineDomain,
  LibvirtHost,
  makeDomain,
  type TestDomain,
} from '../../../tools/lab/src/libvirt/index.js';
import { hypervisor } from '../src/index.js';
import { notQemu } from '../src/helper/endings.js';
import { libvirt } from './support/host.js';

test('a location that names no domain, and unknown settings, are refused before anything is asked', async () => {
  await expect(hypervisor.attach('')).rejects.toMatchObject({ code: 'LOCATION_INVALID' });
  await expect(hypervisor.attach('web', { config: { mod: 'x' } })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    hint: expect.stringContaining('Settings of libvirt:') as string,
  });
});

test('another hypervisor’s domain is pointed to its adapter', () => {
  expect(notQemu('web', 'Xen')).toMatchObject({
    code: 'LOCATION_INVALID',
    hint: expect.stringContaining('xen:web') as string,
  });
});

describe.skipIf(libvirt.skip)(libvirt.title('a domain that cannot be had'), () => {
  let host: LibvirtHost;
  let domain: TestDomain;
  beforeAll(async () => {
    host = await LibvirtHost.start();
    domain = await makeDomain(host, { name: 'web-server', guest: 'emulated-firmware' });
    await defineDomain(host, domain);
  });
  afterAll(async () => host?.stop());

  test('is told in one line each: unknown, shut off, no libvirt there', async () => {
    await expect(hypervisor.attach(`${host.uri}#web-sever`)).rejects.toMatchObject({
      code: 'MACHINE_NOT_FOUND',
      hint: 'There are: web-server.',
    });
    await expect(hypervisor.attach(`${host.uri}#web-server`)).rejects.toMatchObject({
      code: 'MACHINE_NOT_RUNNING',
      message: 'The domain web-server does not run (libvirt: shut off).',
      retryable: true,
    });
    await expect(
      hypervisor.attach('qemu+unix:///system?socket=/nowhere/libvirt-sock#web'),
    ).rejects.toMatchObject({
      code: 'MACHINE_NOT_FOUND',
      hint: expect.stringContaining('libvirtd') as string,
    });
    await expect(hypervisor.attach('nonsense://x#web')).rejects.toMatchObject({ code: 'MACHINE_NOT_FOUND' });
    await expect(hypervisor.attach('test:///default#test')).rejects.toMatchObject({
      code: 'LOCATION_INVALID',
    });
  });
});
