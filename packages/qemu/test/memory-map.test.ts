import { expect, test } from 'vitest';
import { parseMemoryMap } from '../src/machine/memory-map.js';

const MIB = 1 << 20;
const block = (name: string, size: number) => ({ name, size, firstGfn: 0 });
const blocks = [
  block('pc.ram', 3072 * MIB),
  block('0000:00:02.0/vga.vram', 16 * MIB),
  block('pc.bios', 64 << 10),
  block('a/rom', MIB),
  block('b/rom', MIB),
];

// As QEMU prints it, shortened.
const TOLD = `FlatView #0
 AS "I/O", root: io
 Root memory region: io
  0000000000000000-000000000000ffff (prio 0, ram): pc.ram

FlatView #1
 AS "VGA", root: bus master container
 AS "memory", root: system
 AS "cpu-memory-0", root: system
 Root memory region: system
  0000000000000000-000000000009ffff (prio 0, ram): pc.ram KVM
  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem
  00000000000f0000-00000000000fffff (prio 0, rom): pc.bios KVM
  0000000000100000-000000007fffffff (prio 0, ram): pc.ram @0000000000100000 KVM
  00000000fd000000-00000000fdffffff (prio 1, ram): vga.vram
  00000000fe000000-00000000fe0fffff (prio 1, rom): rom
  00000000fee00000-00000000feefffff (prio 4096, i/o): kvm-apic-msi
  0000000100000000-000000013fffffff (prio 0, ram): pc.ram @0000000080000000 KVM
  0000000200000000-00000002ffffffff (prio 0, nv-ram): nvdimm KVM
  0000000300000000-00000003ffffffff (prio 0, ram): unknown KVM

FlatView #2
 AS "other", root: system
  0000000000000000-000000000000ffff (prio 0, ram): pc.ram
`;

test('the ranges of memory are read with their blocks, and nothing that is no memory or could be two', () => {
  expect(parseMemoryMap(TOLD, blocks)).toEqual([
    { region: 'pc.ram', offset: 0, bytes: 0xa0000, address: 0 },
    { region: 'pc.bios', offset: 0, bytes: 0x10000, address: 0xf0000 },
    { region: 'pc.ram', offset: 0x100000, bytes: 0x7ff00000, address: 0x100000 },
    { region: '0000:00:02.0/vga.vram', offset: 0, bytes: 16 * MIB, address: 0xfd000000 },
    { region: 'pc.ram', offset: 0x80000000, bytes: 0x40000000, address: 0x100000000 },
  ]);
});

test('a QEMU that tells nothing has no map', () => {
  expect(parseMemoryMap('', blocks)).toEqual([]);
  expect(parseMemoryMap('unknown command: mtree', blocks)).toEqual([]);
});
