import { expect, test } from 'vitest';
import type { Description } from '../src/machine/describe.js';
import { checkTarget } from '../src/restore/check.js';
import type { Target } from '../src/restore/findings.js';
import { description, header, informed } from './support/described.js';

const blocks = new Map(header.blocks.map(({ name, size }) => [name, size]));
const same: Target = { ...description, blocks, types: undefined };
const { devices } = description;

const version = (text: string): Pick<Description, 'qemu'> => {
  const [major, minor, micro] = text.split('.').map(Number);
  return { qemu: { major: major!, minor: minor!, micro: micro!, text } };
};
const refused = (message: RegExp): unknown =>
  expect.objectContaining({
    code: 'MACHINE_INCOMPATIBLE',
    message: expect.stringMatching(message) as string,
  });

test('a target that fits is accepted, also where its tables may grow', () => {
  expect(checkTarget(informed(), same)).toEqual([]);
  expect(
    checkTarget(informed(), { ...same, blocks: new Map([...blocks, ['/rom@etc/acpi/tables', 2 << 20]]) }),
  ).toEqual([]);
});

test.each<[string, Partial<Target>, RegExp]>([
  ['machine type', { machineType: 'pc-q35-7.2' }, /machine type: pc-i440fx-7.2 wanted, pc-q35-7.2 there/],
  ['CPUs', { cpus: 4 }, /CPUs: 2 wanted, 4 there/],
  ['CPU model', { cpuModel: 'host' }, /CPU model/],
  ['accelerator', { accelerator: 'tcg' }, /accelerator: kvm wanted/],
  ['a missing device', { devices: { ...devices, all: ['i8042'], plugged: [] } }, /device VGA@10 is missing/],
  [
    'another device',
    { devices: { ...devices, all: ['VGA@10', 'e1000@18', 'i8042'], plugged: ['VGA@10', 'e1000@18'] } },
    /e1000@18 is not in the checkpoint/,
  ],
  [
    'a part of the board',
    { devices: { ...devices, all: [...devices.all, 'isa-serial'] } },
    /isa-serial is not in the checkpoint/,
  ],
  [
    'less memory',
    { memoryBytes: 1 << 19, blocks: new Map([...blocks, ['pc.ram', 1 << 19]]) },
    /RAM block pc.ram: 1048576 bytes wanted, 524288/,
  ],
  ['a missing block', { blocks: new Map([['pc.ram', 1 << 20]]) }, /RAM block mem1 is missing/],
  ['another block', { blocks: new Map([...blocks, ['x', 4096]]) }, /RAM block x is not in the checkpoint/],
  ['CPU flags', { cpuFlags: ['sse'] }, /CPU flags that are missing: avx2/],
])('a target that differs in %s is refused with the difference', (_, change, message) => {
  expect(() => checkTarget(informed(), { ...same, ...change })).toThrow(refused(message));
});

test('flags that the checkpoint had not are named, and do no harm', () => {
  const notes = checkTarget(informed(), { ...same, cpuFlags: ['aes', 'avx2', 'sse'] });
  expect(notes.join()).toMatch(/flags that the checkpoint's had not: aes/);
});

test('an older QEMU is a note, not a refusal', () => {
  expect(checkTarget(informed(), { ...same, ...version('6.9.0') }).join()).toMatch(
    /6\.9\.0 is older.*7\.2\.22/,
  );
  expect(checkTarget(informed(), { ...same, ...version('7.2.0') })).toEqual([]);
});

test('across versions the parts of the board are those of the machine type, whatever they are called', () => {
  const newer = { ...same, ...version('10.0.1'), devices: { ...devices, all: ['VGA@10', 'i8042-new'] } };
  // One that is no longer known was renamed; one that is known, and not here, is missing.
  expect(checkTarget(informed(), { ...newer, types: new Set(['VGA', 'i8042-new']) }).join()).toMatch(
    /no i8042/,
  );
  expect(() => checkTarget(informed(), { ...newer, types: new Set(['VGA', 'i8042']) })).toThrow(
    refused(/device i8042 is missing/),
  );
  const without = {
    ...newer,
    devices: { ...devices, all: ['i8042'], plugged: [] },
    types: new Set<string>(),
  };
  expect(() => checkTarget(informed(), without)).toThrow(refused(/device VGA@10 is missing/));
});

test('a checkpoint of an earlier version, which lists fewer parts and no flags, still fits', () => {
  const info = informed();
  const { cpuFlags: _, plugged: __, ...platform } = info.platform;
  const there = { ...same, devices: { ...devices, all: ['VGA@10', 'i8042', 'kvm-pit'] } };
  expect(checkTarget({ ...info, platform }, there)).toEqual([]);
});
