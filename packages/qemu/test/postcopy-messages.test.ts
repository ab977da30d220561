import { PAGE_SIZE } from '@fitdoc/interface';
import { describe, expect, test } from 'vitest';
import { askReceived, opening, resumption, type Block } from '../src/postcopy/messages.js';
import { ReturnPath, type Returned } from '../src/postcopy/return-path.js';

const hex = (...parts: string[]): Buffer => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');
const same = (found: Uint8Array, wanted: Buffer): void =>
  expect(Buffer.from(found).toString('hex')).toBe(wanted.toString('hex'));

const SMALL: Block = { name: 'a', firstGfn: 0, pages: 2, pageSize: PAGE_SIZE };
const HUGE: Block = { name: 'h', firstGfn: 2, pages: 512, pageSize: 2 << 20 };

describe('what a source of a postcopy says', () => {
  test('opens with the machine, its blocks, a discard of each, and one package that runs it', () => {
    same(
      opening(hex('07 00000001 78'), hex('04 aa bb 00'), [SMALL]),
      hex(
        '51 45 56 4d 00000003',
        '07 00000001 78',
        '08 0001 0000',
        '08 0003 0010 0000000000001000 0000000000001000',
        '01 00000002 03 72616d 00000000 00000004 0000000000002004',
        '01 61 0000000000002000',
        '0000000000000010 7e 00000002',
        '08 0006 0014 00 01 61 00 0000000000000000 0000000000002000',
        '08 0007 0004 00000016',
        '08 0004 0000',
        '04 aa bb',
        '08 0002 0004 00000003',
        '08 0005 0000',
      ),
    );
  });

  test('tells of pages that are not of 4 KiB, in the advice and with their block', () => {
    const bytes = Buffer.from(opening(hex('07'), hex('00'), [SMALL, HUGE]));
    expect(bytes.indexOf(hex('08 0003 0010 0000000000201000 0000000000001000'))).toBeGreaterThan(0);
    expect(bytes.indexOf(hex('01 68 0000000000200000 0000000000200000'))).toBeGreaterThan(0);
    expect(bytes.indexOf(hex('08 0006 0014 00 01 68 00 0000000000000000 0000000000200000'))).toBeGreaterThan(
      0,
    );
  });

  test('refuses a device state that does not end as a stream does', () => {
    expect(() => opening(hex('07'), hex('04 aa bb'), [SMALL])).toThrow(RangeError);
  });

  test('asks what a block has, and lets it go on', () => {
    same(askReceived(SMALL), hex('08 000a 0002 01 61'));
    same(resumption(), hex('08 0009 0000'));
  });
});

const SAID = hex(
  '0002 0004 00000003',
  '0003 000f 0000000000001000 00001000 02 7063',
  '0004 000c 0000000000003000 00002000',
  '0005 0003 02 7063 0000000000000008 0300000000000000 0123456789abcdef',
  '0006 0004 00000001',
  '0001 0004 00000000',
);
const HEARD: Returned[] = [
  { kind: 'pong', value: 3 },
  { kind: 'request', block: 'pc', offset: 0x1000, bytes: 0x1000 },
  { kind: 'request', block: 'pc', offset: 0x3000, bytes: 0x2000 },
  { kind: 'received', block: 'pc', bitmap: hex('0300000000000000') },
  { kind: 'resumed' },
  { kind: 'shut', status: 0 },
];

describe('what QEMU says on the return path', () => {
  test.each([1, 2, 3, 7, 1000])('is understood in pieces of %d bytes', (size) => {
    const path = new ReturnPath();
    const heard: Returned[] = [];
    for (let at = 0; at < SAID.length; at += size) heard.push(...path.read(SAID.subarray(at, at + size)));
    expect(heard).toEqual(HEARD);
  });

  test.each([
    ['a message that nobody knows', '0063 0000'],
    ['a request for no block', '0004 000c 0000000000003000 00002000'],
    ['a name that is cut off', '0003 000e 0000000000001000 00001000 05 61'],
    ['a bitmap that is too large', '0005 0002 01 61 0000001000000000'],
    ['a bitmap without its end', '0005 0002 01 61 0000000000000000 0000000000000000'],
    ['a PONG without a number', '0002 0000'],
  ])('is refused: %s', (_, bytes) => {
    expect(() => [...new ReturnPath().read(hex(bytes))]).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_ERROR' }) as Error,
    );
  });
});
