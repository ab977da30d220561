import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readCommandLine } from '../src/machines/command-line.js';
import { libvirtDomainOf } from '../src/machines/libvirt.js';
import { hypervisor } from '../src/hypervisor.js';

const made = await mkdtemp(join(tmpdir(), 'fitdoc-machines-'));
afterAll(() => rm(made, { recursive: true }));

const read = (words: string) => readCommandLine(['qemu-system-x86_64', ...words.split(' ')]);

describe("QEMU's command line", () => {
  it.each([
    ['-qmp unix:/run/a,server=on,wait=off', [{ path: '/run/a' }]],
    [
      '-qmp unix:rel.sock,server,nowait -qmp-pretty unix:/b,server=on',
      [{ path: 'rel.sock' }, { path: '/b' }],
    ],
    ['-qmp tcp:localhost:4444,server=on', []],
    ['-qmp stdio', []],
    ['-qmp unix:/run/a,,b,server=on', [{ path: '/run/a,b' }]],
    [
      '-chardev socket,id=q,path=/var/run/qemu-server/100.qmp,server=on,wait=off -mon chardev=q,mode=control',
      [{ path: '/var/run/qemu-server/100.qmp', chardev: 'q' }],
    ],
    // A monitor for people, and one that goes to somebody who listens, are no way in.
    ['-chardev socket,id=h,path=/h,server=on -mon chardev=h', []],
    ['-chardev socket,id=e,path=/e,reconnect=5 -mon chardev=e,mode=control', []],
    [
      '-chardev socket,id=charmonitor,fd=27,server=on,wait=off -mon chardev=charmonitor,id=monitor,mode=control',
      [{ chardev: 'charmonitor' }],
    ],
  ])('%s', (words, sockets) => expect(read(words).sockets).toEqual(sockets));

  it.each([
    ['-m 512', 512 * 2 ** 20],
    ['-m size=131080k', 131080 * 2 ** 10],
    ['-m 1.5G,slots=2,maxmem=4G', 1.5 * 2 ** 30],
    ['-smp 2', undefined],
  ])('%s', (words, bytes) => expect(read(words).memoryBytes).toBe(bytes));

  it('tells the name, the UUID, and whose it is', () => {
    expect(read('-name guest=web,debug-threads=on -uuid AB-1 -incoming defer')).toMatchObject({
      name: 'web',
      uuid: 'ab-1',
      incoming: true,
    });
    expect(read('-name web -xen-domid 4')).toMatchObject({ name: 'web', xenDomain: '4' });
  });
});

describe("libvirt's own monitor socket", () => {
  it.each([
    ['/var/lib/libvirt/qemu/domain-3-web/monitor.sock', 'web'],
    ['/var/lib/libvirt/qemu/domain-3-web-2/monitor.sock', 'web-2'],
    ['/home/me/.config/libvirt/qemu/lib/domain-1-me/monitor.sock', 'me'],
    ['/run/vm/domain-3-web/monitor.sock', undefined],
    ['/var/lib/libvirt/qemu/domain-3-web/qmp.sock', undefined],
    ['monitor.sock', undefined],
  ])('%s is of the domain %s', (path, name) => expect(libvirtDomainOf(path)).toBe(name));

  it('is known wherever libvirt keeps its state, and refused before anybody connects to it', async () => {
    const folder = join(made, 'domain-7-db');
    await mkdir(folder);
    await writeFile(join(folder, 'master-key.aes'), '');
    const path = join(folder, 'monitor.sock');
    expect(libvirtDomainOf(path)).toBe('db');
    await expect(hypervisor.attach(path)).rejects.toMatchObject({
      code: 'MACHINE_BUSY',
      hint: expect.stringContaining('libvirt:db') as string,
    });
  });
});
