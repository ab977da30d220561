import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { buildInitramfs, guestDrivers, VIRTIO_PCI } from '../../../tools/lab/src/qemu/index.js';
import { hypervisor } from './support/hypervisor.js';
import {
  boot,
  Protected,
  proveTwin,
  stopGuests,
  twin,
  withoutKvm,
  withoutQemu,
  type GuestOptions,
  type TestGuest,
} from './support/real.js';
import { on, takeAndRestore, testedQemus, type TestedQemu } from './support/table.js';

afterEach(stopGuests);

const qemus = withoutQemu === undefined ? await testedQemus() : [];
const newest = qemus.at(-1)!;
const FEW = { checkpoints: 5, restored: [1, 4] };
const firmware: GuestOptions = { guest: 'firmware', accel: 'kvm', machine: 'pc', cpus: 1 };

const memfd = (id: string, mib: number, more = ''): string[] => [
  '-object',
  `memory-backend-memfd,id=${id},size=${mib}M,share=on${more}`,
];
const nodes = [
  '-object',
  'memory-backend-ram,id=m1,size=32M',
  '-numa',
  'node,memdev=m0',
  '-numa',
  'node,memdev=m1',
];
const plugged = (requested: number): string[] => [
  ...['-object', 'memory-backend-ram,id=vm0,size=256M'],
  ...['-device', `virtio-mem-pci,id=v0,memdev=vm0,requested-size=${requested}M`],
];

async function freeHugePages(): Promise<number> {
  const path = '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages';
  return Number(await readFile(path, 'utf8').catch(() => '0'));
}
// A guest and what it is restored into, one after the other beside it.
const hugePages = (await freeHugePages()) >= 64;
if (!hugePages)
  process.stderr.write('not run: a guest in huge pages (this host has fewer than 64 of 2 MiB free)\n');

const machines: [string, Partial<GuestOptions>][] = [
  ['with four processors', { cpus: 4 }],
  ['q35', { machine: 'q35', cpus: 2 }],
  ['microvm', { machine: 'microvm,x-option-roms=off,pit=on,pic=on,rtc=on,isa-serial=on' }],
  ['with shared memory', { machine: 'pc,memory-backend=mem', extraArgs: memfd('mem', 64) }],
  ['with two memory backends', { extraArgs: [...memfd('m0', 32), ...nodes] }],
  ['with virtio-mem on pc', { extraArgs: ['-m', '64M,slots=2,maxmem=4G', ...plugged(0)] }],
  ['with virtio-mem on q35', { machine: 'q35', extraArgs: ['-m', '64M,slots=2,maxmem=4G', ...plugged(0)] }],
  ...(hugePages
    ? ([
        [
          'in huge pages',
          {
            machine: 'pc,memory-backend=mem',
            extraArgs: memfd('mem', 64, ',hugetlb=on,hugetlbsize=2M'),
          },
        ],
      ] as [string, Partial<GuestOptions>][])
    : []),
];

describe.skipIf(withoutKvm)(`on QEMU ${newest?.version} and KVM`, () => {
  test.each(machines)(
    'a machine %s comes back from its checkpoints',
    async (_, options) => {
      await takeAndRestore({ ...firmware, ...options, ...on(newest) }, FEW);
    },
    300_000,
  );
});

describe.skipIf(withoutQemu)(`with memory that comes and goes`, () => {
  // Under emulation COLO needs QEMU 11 or the work-around; before QEMU 9 pages may be lost there.
  test.each(qemus.filter(({ major }) => major >= 9))(
    'a Linux guest on QEMU $version comes back',
    async (qemu) => {
      const guest = await boot(await linux(qemu));
      await guest.monitor.execute('balloon', { value: 160 << 20 });
      await until(
        async () => (await pluggedBytes(guest)) === 64 << 20 && (await actual(guest)) === 160 << 20,
      );
      const machine = await hypervisor.attach(guest.qmpPath);
      const protection = new Protected(machine);
      const kept = [];
      for (let i = 0; i < 3; i++) kept.push(await protection.keep());
      await machine.detach();
      for (const checkpoint of [kept[0]!, kept[2]!]) {
        const target = await twin(guest);
        await hypervisor.restore(target.qmpPath, checkpoint);
        await proveTwin(guest, target);
        expect(await pluggedBytes(target)).toBe(64 << 20);
        await until(async () => (await actual(target)) === 160 << 20);
        await target.stop();
      }
    },
    300_000,
  );
});

async function linux(qemu: TestedQemu): Promise<GuestOptions> {
  const initramfs = await buildInitramfs(await guestDrivers([...VIRTIO_PCI, 'virtio_balloon', 'virtio_mem']));
  return {
    ...on(qemu),
    accel: 'tcg',
    shim: false,
    machine: 'q35',
    initramfs,
    heart: { mib: 4, pages: 50 },
    extraArgs: ['-m', '192M,slots=2,maxmem=4G', '-device', 'virtio-balloon-pci,id=b0', ...plugged(64)],
  };
}

async function pluggedBytes({ monitor }: TestGuest): Promise<number> {
  const path = { path: '/machine/peripheral/v0', property: 'size' };
  return monitor.execute<number>('qom-get', path);
}

async function actual({ monitor }: TestGuest): Promise<number> {
  return (await monitor.execute<{ actual: number }>('query-balloon')).actual;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await holds()); turn++) {
    if (turn > 900) throw new Error('the guest did not do as was awaited');
    await sleep(100);
  }
}

const firmwareFolder = qemus.find((qemu) => qemu.firmware !== undefined)?.firmware;

describe.skipIf(withoutQemu !== undefined || firmwareFolder === undefined)('UEFI variables', () => {
  test('are in the checkpoint, are no disk, and win over the file of the target', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fitdoc-uefi-'));
    try {
      const code = `if=pflash,format=raw,unit=0,readonly=on,file=${firmwareFolder}/OVMF_CODE_4M.fd`;
      const options = (variables: string): GuestOptions => ({
        ...on(newest),
        accel: 'tcg',
        guest: 'bare',
        shim: false,
        machine: 'q35',
        memoryKib: 96 * 1024 + 8,
        extraArgs: ['-drive', code, '-drive', `if=pflash,format=raw,unit=1,file=${variables}`],
      });
      const [original, fresh] = [join(folder, 'original.fd'), join(folder, 'fresh.fd')];
      await copyFile(`${firmwareFolder}/OVMF_VARS_4M.fd`, original);
      await copyFile(`${firmwareFolder}/OVMF_VARS_4M.fd`, fresh);
      const guest = await boot(options(original), 0);
      const untouched = await readFile(fresh);
      // The firmware notes its boot entries there, and then rests.
      let before = untouched;
      await until(async () => {
        const now = await readFile(original);
        const rests = now.equals(before) && !now.equals(untouched);
        before = now;
        await sleep(500);
        return rests;
      });
      const machine = await hypervisor.attach(guest.qmpPath);
      expect(machine.info.disks).toEqual([]);
      expect(machine.info.platform['flash']).toMatchObject([
        { region: 'system.flash0', writable: false },
        { region: 'system.flash1', writable: true, source: original },
      ]);
      const kept = await new Protected(machine).keep();
      const regions = kept.info.regions.filter(({ name }) => name === 'system.flash1');
      const recorded = await memoryOf(kept, 'system.flash1');
      expect(regions).toHaveLength(1);
      await machine.detach();
      const target = await twin(guest, options(fresh));
      const { notes, state } = await hypervisor.restore(target.qmpPath, kept);
      expect(state).toBe('running');
      expect(notes.join('\n')).toMatch(/UEFI variables \(pflash1, .*original\.fd\)[^]*win/);
      expect(notes.join('\n')).not.toMatch(/Disk/);
      await until(async () => (await readFile(fresh)).equals(recorded));
    } finally {
      await stopGuests();
      await rm(folder, { recursive: true });
    }
  }, 300_000);
});

async function memoryOf(kept: Awaited<ReturnType<Protected['keep']>>, name: string): Promise<Buffer> {
  const region = kept.info.regions.find((each) => each.name === name)!;
  const bytes = Buffer.alloc(region.pages * 4096);
  for await (const { gfn, bytes: page } of kept.pages({ regions: [name] }))
    bytes.set(page, (gfn - region.firstGfn) * 4096);
  return bytes;
}
