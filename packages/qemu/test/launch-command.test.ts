import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GuestPort, LaunchOptions, MachineInfo } from '@fitdoc/interface';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseArguments, splitProgram, wordsOf } from '../src/launch/arguments.js';
import { compose } from '../src/launch/compose.js';
import { OptionList } from '../src/launch/option-list.js';
import { withoutSecrets } from '../src/launch/secrets.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fitdoc-command-'));
});
afterEach(() => rm(directory, { recursive: true }));

function info(words: readonly string[], more: Partial<MachineInfo> = {}): MachineInfo {
  return {
    ...{ id: 'm', name: 'm', hypervisor: 'qemu 7.2.22', scheme: 'kvm', architecture: 'x86_64' },
    regions: [{ name: 'pc.ram', firstGfn: 0, pages: 1024, kind: 'ram' }],
    platform: { mainRam: 'pc.ram' },
    disks: [],
    command: { words: ['qemu-system-x86_64', ...words] },
    ...more,
  };
}

async function made(
  words: readonly string[],
  options: Partial<LaunchOptions> = {},
  more: Partial<MachineInfo> = {},
): Promise<string[]> {
  const composed = await compose(info(words, more), { directory, ...options });
  const [program, ...rest] = composed.words;
  expect(program).toBe('qemu-system-x86_64');
  const ours = ['-qmp', `unix:${directory}/qmp.sock,server=on,wait=off`, '-incoming', 'defer'];
  expect(rest.slice(-ours.length)).toEqual(ours);
  return rest.slice(0, -ours.length);
}

describe('the options of QEMU', () => {
  test('are taken apart and put together without loss', () => {
    const words = [
      '-nodefaults',
      '-m',
      '64M',
      'disk.img',
      '--append',
      '-x y',
      '-S',
      '-device',
      'e1000,mac=1',
    ];
    expect(wordsOf(parseArguments(words))).toEqual(words.map((word) => word.replace('--', '-')));
    for (const text of [
      'a,b=c',
      'file=a,,b,id=x',
      'b=',
      '{"driver":"raw","file":{"driver":"file","x":[1]}}',
      'user,x',
    ])
      expect(OptionList.parse(text).toString()).toBe(text);
    expect(OptionList.parse('file=a,,b').get('file')).toBe('a,b');
    expect(OptionList.parse('{"file":{"filename":"x"}}').get('file.filename')).toBe('x');
  });

  test('are told from the loader that starts the program', () => {
    const loader = ['/lib/ld.so', '--argv0', '/x/qemu-system-x86_64', '/r/bin/qemu-system-x86_64'];
    expect(splitProgram([...loader, '-L', '/r'])).toEqual({ program: loader, options: ['-L', '/r'] });
  });
});

describe('a recorded command', () => {
  test('has no secrets in it', () => {
    const words = [
      ...[
        '-object',
        'secret,id=s0,data=hunter2,format=raw',
        '-object',
        '{"qom-type":"secret","id":"s","data":"hunter2"}',
      ],
      ...[
        '-drive',
        'file=rbd:pool/x,password-secret=s0',
        '-blockdev',
        'driver=http,url=http://u:hunter2@h/x',
      ],
      ...['-blockdev', '{"driver":"iscsi","password":"hunter2"}', '-spice', 'port=1,password=hunter2'],
      ...['-append', 'root=/dev/vda luks.passphrase=hunter2 quiet', '-vnc', ':1,password=on'],
      ...[
        '-fw_cfg',
        'name=opt/ign,string=hunter2',
        '-smbios',
        'type=11,value=io.systemd.credential:x=hunter2',
      ],
      ...['-fw_cfg', 'name=opt/x,file=/etc/x'],
    ];
    const left = withoutSecrets(words);
    expect(left.join(' ')).not.toContain('hunter2');
    expect(left.filter((word) => word.includes('***'))).toHaveLength(8);
    expect(left).toContain('file=rbd:pool/x,password-secret=s0');
    expect(left).toContain('root=/dev/vda luks.passphrase=*** quiet');
    expect(left).toContain(':1,password=on');
  });

  test('that lacks a secret, or files that it was handed, is not started until they are given', async () => {
    const lacking = ['-object', 'secret,id=s0,data=***'];
    await expect(made(lacking)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      message: expect.stringContaining('secret,id=s0') as string,
    });
    expect(await made(lacking, { changed: ['-object', 'secret,id=s0,file=/k'] })).toContain(
      'secret,id=s0,file=/k',
    );
    const handed = ['-netdev', 'tap,id=n,fd=3'];
    await expect(made(handed)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    expect(await made(handed, { network: 'cut' })).toContain('tap,id=n,script=no,downscript=no');
    await expect(
      compose({ ...info([]), command: undefined } as unknown as MachineInfo, { directory }),
    ).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });

  test('gets sockets and files of its own', async () => {
    const words = [
      ...['-qmp', 'unix:/run/q,server', '-daemonize', '-pidfile', '/run/p', '-S', '-incoming', 'defer'],
      ...[
        '-chardev',
        'socket,id=ga,path=/run/ga,server=on,wait=off',
        '-chardev',
        'file,id=con,path=/var/log/con',
      ],
      ...['-chardev', 'socket,id=tpm,path=/run/tpm', '-serial', 'mon:stdio', '-serial', 'chardev:con'],
      ...['-vnc', ':3', '-nographic', '-device', 'virtserialport,chardev=ga,name=org.qemu.guest_agent.0'],
    ];
    const composed = await compose(info(words), { directory });
    const text = composed.words.join(' ');
    for (const gone of ['/run/q', 'daemonize', 'pidfile', '/var/log', 'stdio', ':3', '/run/ga', '-S'])
      expect(text).not.toContain(gone);
    expect(text).toContain('socket,id=tpm,path=/run/tpm');
    expect(composed.agent).toBe(join(directory, 'ga.sock'));
    expect(composed.consoles).toEqual([join(directory, 'con.log'), join(directory, 'serial1.log')]);
  });

  test('is changed where options contradict it, and else added to', async () => {
    const words = ['-m', '64M', '-netdev', 'user,id=n', '-device', 'e1000,id=d,netdev=n', '-M', 'pc'];
    expect(
      await made(words, {
        changed: ['-netdev', 'tap,id=n,ifname=t0', '-machine', 'q35', '-device', 'x,id=e'],
      }),
    ).toEqual([
      ...['-m', '64M', '-netdev', 'tap,id=n,ifname=t0', '-device', 'e1000,id=d,netdev=n', '-machine', 'q35'],
      ...['-monitor', 'none', '-device', 'x,id=e'],
    ]);
  });

  test('of a fork has its name, its own generation and the shared memory', async () => {
    const words = [
      '-name',
      'guest=web,debug-threads=on',
      '-machine',
      'pc',
      '-device',
      'vmgenid,guid=1',
      '-mem-path',
      '/x',
    ];
    const state = 'a'.repeat(64);
    const identity = { name: 'web-1', uuid: 'u', newGenerationId: true, origin: { machine: 'm', state } };
    expect(await made(words, { identity, memoryFile: '/ram' })).toEqual([
      ...[
        '-name',
        'guest=web-1,debug-threads=on',
        '-machine',
        'pc,memory-backend=pc.ram',
        '-device',
        'vmgenid,guid=auto',
      ],
      ...['-monitor', 'none', '-uuid', 'u', '-object', `authz-simple,id=fitdoc-origin,identity=m/${state}`],
      '-object',
      'memory-backend-file,id=pc.ram,size=4194304,mem-path=/ram,share=off,x-use-canonical-path-for-ramblock-id=off',
    ]);
    const own = [
      '-object',
      'memory-backend-memfd,id=mem0,size=4M,share=on',
      '-machine',
      'q35,memory-backend=mem0',
    ];
    const region = { name: 'mem0', firstGfn: 0, pages: 1024, kind: 'ram' } as const;
    expect(
      await made(own, { memoryFile: '/ram' }, { regions: [region], platform: { mainRam: 'mem0' } }),
    ).toEqual([
      ...['-object', 'memory-backend-file,id=mem0,size=4194304,mem-path=/ram,share=off'],
      ...['-machine', 'q35,memory-backend=mem0', '-monitor', 'none'],
    ]);
  });
});

describe('memory in a file', () => {
  test("of the original is not the new machine's, but a directory of huge pages is", async () => {
    const region = { name: 'm0', firstGfn: 0, pages: 1024, kind: 'ram' } as const;
    const more = { regions: [region], platform: { mainRam: 'm0' } };
    const file = join(directory, 'ram');
    await writeFile(file, 'x');
    const words = (path: string, share: string): string[] => [
      ...['-object', `memory-backend-file,id=m0,size=4M,mem-path=${path},share=${share}`, '-mem-path', path],
      ...['-machine', 'pc,memory-backend=m0'],
    ];
    const canonical = 'x-use-canonical-path-for-ramblock-id=off';
    const rest = ['-machine', 'pc,memory-backend=m0', '-monitor', 'none'];
    expect(await made(words(file, 'off'), {}, more)).toEqual([
      ...['-object', `memory-backend-ram,id=m0,size=4M,${canonical}`, ...rest],
    ]);
    expect(await made(words(file, 'on'), {}, more)).toEqual([
      ...['-object', `memory-backend-memfd,share=on,id=m0,size=4M,${canonical}`, ...rest],
    ]);
    const huge = words(directory, 'on');
    expect(await made(huge, {}, more)).toEqual([...huge, '-monitor', 'none']);
  });
});

describe('the machine apart', () => {
  test('has network cards that lead nowhere', async () => {
    const cut = { network: 'cut' } as const;
    expect(await made(['-netdev', 'socket,id=n,connect=:1', '-device', 'e1000,netdev=n'], cut)).toEqual([
      ...['-netdev', 'hubport,id=n,hubid=1000', '-device', 'e1000,netdev=n', '-monitor', 'none'],
    ]);
    expect(await made(['-net', 'nic', '-net', 'tap'], cut)).toEqual(['-net', 'nic', '-monitor', 'none']);
    expect(await made(['-nodefaults'], cut)).toEqual(['-nodefaults', '-monitor', 'none']);
    expect(await made(['-nic', 'none'], cut)).toEqual(['-nic', 'none', '-monitor', 'none']);
    expect(await made(['-nic', 'bridge,br=b0,model=e1000,mac=52:54:00:00:00:01'], cut)).toEqual([
      ...['-netdev', 'tap,id=net1000,script=no,downscript=no'],
      ...['-device', 'e1000,mac=52:54:00:00:00:01,netdev=net1000', '-monitor', 'none'],
    ]);
    expect(await made(['-nic', 'tap,model=e1000', '-nic', 'tap,model=e1000'], cut)).toEqual([
      ...['-netdev', 'tap,id=net1000,script=no,downscript=no', '-device', 'e1000,netdev=net1000'],
      ...['-netdev', 'tap,id=net1001,script=no,downscript=no', '-device', 'e1000,netdev=net1001'],
      ...['-monitor', 'none'],
    ]);
  });

  test('has the user networks that it had, whose state is in its stream, closed', async () => {
    const cut = { network: 'cut' } as const;
    const closed = 'restrict=on,ipv6=off';
    const words = ['-netdev', 'user,id=n,net=10.9.0.0/24,hostfwd=tcp::22-:22', '-device', 'e1000,netdev=n'];
    expect(await made(words, cut)).toEqual([
      ...['-netdev', 'user,id=n,restrict=on,net=10.9.0.0/24,ipv6=off', '-device', 'e1000,netdev=n'],
      ...['-monitor', 'none'],
    ]);
    const json = '{"type":"user","id":"n","hostfwd":[{"str":"tcp::22-:22"}]}';
    expect(await made(['-netdev', json], cut)).toEqual([
      '-netdev',
      `user,id=n,${closed}`,
      '-monitor',
      'none',
    ]);
    expect(await made(['-net', 'nic', '-net', 'user,smb=/'], cut)).toEqual([
      ...['-net', 'nic', '-net', `user,${closed}`, '-monitor', 'none'],
    ]);
    expect(await made(['-nic', 'user,mac=52:54:00:00:00:01'], cut)).toEqual([
      ...['-netdev', `user,id=net1000,${closed}`, '-net', 'nic,netdev=net1000,macaddr=52:54:00:00:00:01'],
      ...['-monitor', 'none'],
    ]);
    expect(await made([], cut)).toEqual(['-monitor', 'none', '-net', 'nic', '-net', `user,${closed}`]);
  });

  test('writes its disks elsewhere, and reads those that others write', async () => {
    const disk = join(directory, 'disk.raw');
    await writeFile(disk, Buffer.alloc(1 << 20));
    const words = [
      ...['-drive', `file=${disk},format=raw,if=virtio,cache=none,id=d0`, '-cdrom', 'cd.iso'],
      ...['-blockdev', `{"driver":"file","filename":"${disk}","node-name":"f"}`],
      ...[
        '-blockdev',
        '{"driver":"raw","file":"f","node-name":"n","discard":"unmap"}',
        '-device',
        'virtio-blk,drive=n',
      ],
    ];
    const disks = [{ name: 'n', writable: true, source: disk, sizeBytes: 1 << 20 }];
    const list = parseArguments(await made(words, { disks: 'overlays' }, { disks }));
    const values = list.map(({ value = '' }) => value);
    const overlays = (await readdir(directory)).filter((name) => name.endsWith('.qcow2')).sort();
    expect(overlays).toHaveLength(2);
    expect((await readFile(join(directory, overlays[0]!))).subarray(0, 4).toString('latin1')).toBe('QFI\xfb');
    expect(values[0]).toMatch(
      /^if=virtio,id=d0,file=.*qcow2,format=qcow2,backing.driver=raw,backing.file.filename=.*locking=off$/,
    );
    expect(JSON.parse(values[2]!)).toMatchObject({
      'read-only': true,
      'force-share': true,
      'node-name': 'f',
    });
    expect(JSON.parse(values[3]!)).toMatchObject({ 'node-name': 'n-below', 'read-only': true });
    expect(values[4]).toContain('node-name=n');
    expect(values[4]).toContain('backing=n-below');
    const images = [{ disk: 'n', file: '/copy.raw', format: 'raw' }] as const;
    const own = parseArguments(await made(words, { images }, { disks }));
    expect(own.map(({ value }) => value)).toContain(
      'driver=raw,file.driver=file,file.filename=/copy.raw,node-name=n',
    );
  });
});

describe('a port of the machine apart', () => {
  const reached = (
    words: readonly string[],
    reach: GuestPort = { port: 22 },
    changed: readonly string[] = [],
  ): Promise<string[]> => made(words, { network: 'cut', reach, changed });
  const own = { port: 22, address: '192.168.1.1' };
  const forward = 'hostfwd=tcp:127.0.0.1:0-';
  const around = `restrict=on,net=192.168.1.0/24,host=192.168.1.2,dns=192.168.1.3,dhcpstart=192.168.1.1,ipv6=off,${forward}192.168.1.1:22`;

  test('is reached by a user network behind the first card, which stays as it was', async () => {
    const words = [
      '-netdev',
      'user,id=n,net=10.9.0.0/24,hostfwd=tcp::80-:80',
      '-device',
      'virtio-net,netdev=n',
    ];
    const second = ['-netdev', 'tap,id=b', '-device', 'e1000,netdev=b,mac=52:54:00:00:00:02'];
    expect(await reached([...words, ...second])).toEqual([
      ...['-netdev', `user,id=n,restrict=on,net=10.9.0.0/24,ipv6=off,${forward}:22`],
      ...['-device', 'virtio-net,netdev=n'],
      ...['-netdev', 'tap,id=b,script=no,downscript=no', ...second.slice(2), '-monitor', 'none'],
    ]);
    expect(await reached(second, own)).toEqual([
      ...['-netdev', `user,id=b,${around}`, ...second.slice(2), '-monitor', 'none'],
    ]);
    expect(await reached(['-nic', 'tap,model=rtl8139,mac=52:54:00:00:00:02'], own)).toEqual([
      ...['-netdev', `user,id=net1000,${around}`],
      ...['-device', 'rtl8139,mac=52:54:00:00:00:02,netdev=net1000', '-monitor', 'none'],
    ]);
    expect(await reached(['-net', 'nic', '-net', 'tap'], own)).toEqual([
      ...['-net', 'nic', '-monitor', 'none', '-net', `user,${around}`],
    ]);
    expect(await reached(['-net', 'nic', '-net', 'user'])).toEqual([
      ...['-net', 'nic', '-net', `user,restrict=on,ipv6=off,${forward}:22`, '-monitor', 'none'],
    ]);
    expect(await reached([])).toEqual([
      ...['-monitor', 'none', '-net', 'nic', '-net', `user,restrict=on,ipv6=off,${forward}:22`],
    ]);
  });

  test('whose network is wide, or where others have first addresses', async () => {
    const words = ['-netdev', 'tap,id=n', '-device', 'e1000,netdev=n'];
    const at = async (address: string, prefix: number): Promise<string | undefined> =>
      (await reached(words, { port: 22, address, prefix }))[1]?.split(',ipv6')[0];
    expect(await at('10.200.3.4', 8)).toBe(
      'user,id=n,restrict=on,net=10.0.0.0/8,host=10.0.0.1,dns=10.0.0.2,dhcpstart=10.200.3.4',
    );
    expect(await at('203.0.113.10', 29)).toBe(
      'user,id=n,restrict=on,net=203.0.113.8/29,host=203.0.113.9,dns=203.0.113.11,dhcpstart=203.0.113.10',
    );
  });

  test('is refused, by name, where nothing leads to it', async () => {
    const refusal = (code: string, part: string) => ({
      code,
      message: expect.stringContaining(part) as string,
    });
    const none = refusal('ARGUMENT_INVALID', 'm has no network card');
    for (const words of [['-nodefaults'], ['-nic', 'none'], ['-net', 'none'], ['-netdev', 'user,id=n']])
      await expect(reached(words)).rejects.toMatchObject(none);
    const virtio = ['-netdev', 'tap,id=n', '-device', 'virtio-net-pci,netdev=n'];
    await expect(reached(virtio, own)).rejects.toMatchObject(
      refusal('CAPABILITY_MISSING', 'card n (virtio-net-pci) was behind a tap'),
    );
    expect(await reached(['-netdev', 'tap,id=n,vnet_hdr=off', ...virtio.slice(2)], own)).toContain(
      `user,id=n,${around}`,
    );
    const card = ['-netdev', 'tap,id=n', '-device', 'e1000,netdev=n'];
    await expect(reached(card)).rejects.toMatchObject(refusal('ARGUMENT_INVALID', 'Which address m has'));
    const theirs = (value: string): Promise<string[]> => reached(card, own, ['-netdev', value]);
    await expect(theirs('user,id=n')).rejects.toMatchObject(refusal('ARGUMENT_INVALID', 'take the place'));
    await expect(theirs('user,id=n,hostfwd=tcp::1-:222')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    expect(await theirs('user,id=n,hostfwd=tcp::1-:22')).toContain('user,id=n,hostfwd=tcp::1-:22');
  });
});
