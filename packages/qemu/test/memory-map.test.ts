import { expect, test } from 'vitest';
import { parseMemoryMap } from '../src/machine/memory-map.js';

const MIB = 1 << 20;
const block = (name: string, size: number) => ({ name, size, firstGfn: 0 });
const blocks = [
  block('pc.ram', 3072 * MIB),
  block('0000:00:02.0/vga.vram', 16 * MIB),
  block('pc.bios', 256 << 10),
  block('n0', 64 * MIB),
  block('a/rom', MIB),
  block('b/rom', MIB),
];

// As QEMU 7.2 prints it, shortened.
const TOLD = `address-space: VGA
  0000000000000000-ffffffffffffffff (prio 0, i/o): bus master container

address-space: I/O
  0000000000000000-000000000000ffff (prio 0, ram): alias io @pc.ram 0000000000000000-000000000000ffff

address-space: cpu-memory-0
address-space: memory
  0000000000000000-ffffffffffffffff (prio 0, i/o): system
    0000000000000000-000000007fffffff (prio 0, ram): alias ram-below-4g @pc.ram 0000000000000000-000000007fffffff
    0000000000000000-ffffffffffffffff (prio -1, i/o): pci
      00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem
      00000000000c0000-00000000000dffff (prio 1, rom): pc.rom
      00000000000e0000-00000000000fffff (prio 1, rom): alias isa-bios @pc.bios 0000000000020000-000000000003ffff
      00000000fd000000-00000000fdffffff (prio 1, ram): vga.vram
      00000000fe000000-00000000fe0fffff (prio 1, rom): rom
      00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios
    00000000000a0000-00000000000bffff (prio 1, i/o): alias smram-region @pci 00000000000a0000-00000000000bffff
    00000000000c0000-00000000000c3fff (prio 1, ram): alias pam-ram @pc.ram 00000000000c0000-00000000000c3fff [disabled]
    00000000000c0000-00000000000c3fff (prio 1, ram): alias pam-pci @pci 00000000000c0000-00000000000c3fff
    00000000000f0000-00000000000fffff (prio 1, ram): alias pam-pci @pci 00000000000f0000-00000000000fffff
    00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi
    0000000100000000-000000013fffffff (prio 0, ram): alias ram-above-4g @pc.ram 0000000080000000-00000000bfffffff
    0000000200000000-0000000203ffffff (prio 0, nv-ram): alias nvdimm-memory @n0 0000000000000000-0000000003ffffff
    0000000300000000-00000003ffffffff (prio 0, ram): unknown

memory-region: pc.ram
  0000000000000000-00000000bfffffff (prio 0, ram): pc.ram

memory-region: pc.bios
  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios

memory-region: n0
  0000000000000000-0000000003ffffff (prio 0, ram): n0

memory-region: pci
  0000000000000000-ffffffffffffffff (prio -1, i/o): pci
    00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem
    00000000000c0000-00000000000dffff (prio 1, rom): pc.rom
    00000000000e0000-00000000000fffff (prio 1, rom): alias isa-bios @pc.bios 0000000000020000-000000000003ffff
`;

const EXPECTED = [
  { region: 'pc.ram', offset: 0, bytes: 0xa0000, address: 0 },
  // What pc.rom shows there is no block of these.
  { region: 'pc.ram', offset: 0xc4000, bytes: 0x2c000, address: 0xc4000 },
  { region: 'pc.bios', offset: 0x30000, bytes: 0x10000, address: 0xf0000 },
  { region: 'pc.ram', offset: 0x100000, bytes: 0x7ff00000, address: 0x100000 },
  { region: '0000:00:02.0/vga.vram', offset: 0, bytes: 16 * MIB, address: 0xfd000000 },
  { region: 'pc.bios', offset: 0, bytes: 256 << 10, address: 0xfffc0000 },
  { region: 'pc.ram', offset: 0x80000000, bytes: 0x40000000, address: 0x100000000 },
];

test('the ranges of memory are read with their blocks, and nothing that is no memory or could be two', () => {
  expect(parseMemoryMap(TOLD, blocks)).toEqual(EXPECTED);
});

test('a tree that address spaces share, and containers called so, are read as well', () => {
  const newer = TOLD.replace(
    'address-space: cpu-memory-0\naddress-space: memory\n',
    'address-space shared 2 times:\n  - cpu-memory-0\n  - memory\n',
  ).replaceAll(/i\/o\): (system|pci|bus master container)$/gm, 'container): $1');
  expect(parseMemoryMap(newer, blocks)).toEqual(EXPECTED);
});

test('a QEMU that tells nothing has no map', () => {
  expect(parseMemoryMap('', blocks)).toEqual([]);
  expect(parseMemoryMap('unknown command: mtree', blocks)).toEqual([]);
  expect(parseMemoryMap('address-space: memory\n', blocks)).toEqual([]);
});
