import { PAGE_SIZE } from '@fitdoc/interface';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MockGuest } from '../src/mock-guest.js';
import { parseSettings, WORKLOAD_NAMES } from '../src/settings.js';
import { shapeOf } from '../src/shape.js';

const boot = (query: string) => MockGuest.boot('vm', shapeOf(parseSettings(query)));

/** Runs a step and gives the dirty pages and those whose content changed, found by comparing everything. */
function stepOf(guest: MockGuest): { dirty: number[]; changed: number[]; words: number } {
  guest.memory.dirty.clearAll();
  const before = new Uint32Array(guest.read(0, guest.memory.pages).buffer);
  guest.run();
  const after = new Uint32Array(guest.read(0, guest.memory.pages).buffer);
  const changed: number[] = [];
  let words = 0;
  for (let gfn = 0; gfn < guest.memory.pages; gfn++) {
    let count = 0;
    for (let i = gfn * 1024; i < gfn * 1024 + 1024; i += 2) {
      if (before[i] !== after[i] || before[i + 1] !== after[i + 1]) count++;
    }
    if (count > 0) changed.push(gfn);
    words += count;
  }
  return { dirty: [...guest.memory.dirty.gfns()], changed, words };
}

describe.each(WORKLOAD_NAMES)('%s', (workload) => {
  const query = `workload=${workload}&memory=8M`;

  test('is a function of the seed and the step', () => {
    const [a, b, other] = [boot(`${query}&seed=5`), boot(`${query}&seed=5`), boot(`${query}&seed=6`)];
    expect(a.hash()).toBe(b.hash());
    for (const guest of [a, b, other]) guest.run(3);
    expect(a.hash()).toBe(b.hash());
    expect(a.hash('memory')).not.toBe(other.hash('memory'));
  });

  test('marks every page that it changes, and keeps its checksum', () => {
    const guest = boot(`${query}&rate=300&resident=4M`);
    for (let i = 0; i < 3; i++) {
      const { dirty, changed } = stepOf(guest);
      const marked = new Set(dirty);
      expect(changed.filter((gfn) => !marked.has(gfn))).toEqual([]);
      expect(changed.length).toBeGreaterThan(2);
    }
    expect(guest.proof()).toMatchObject({ ok: true, step: 3 });
  });

  test('dirties about as many pages as asked for', () => {
    // Popular pages are hit more than once, so there may be fewer pages than writes.
    const guest = boot(`workload=${workload}&memory=24M&rate=400&cluster=8&words=64`);
    guest.run(2);
    const { dirty } = stepOf(guest);
    expect(dirty.length).toBeLessThanOrEqual(400 + 20);
    expect(dirty.length).toBeGreaterThan(workload === 'idle' ? 100 : 250);
  });

  test('rewrites pages with what they hold', () => {
    const guest = boot(`workload=${workload}&memory=24M&rate=600&rewrites=0.5&cluster=1`);
    guest.run(2);
    const { dirty, changed } = stepOf(guest);
    expect(changed.length / dirty.length).toBeGreaterThan(0.3);
    expect(changed.length / dirty.length).toBeLessThan(0.8);
  });

  test('does the same in a machine with more memory', () => {
    const small = boot(`${query}&resident=6M&working=4M`);
    const large = boot(`workload=${workload}&memory=4G&resident=16M&working=4M`);
    for (let i = 0; i < 3; i++) {
      for (const guest of [small, large]) {
        guest.memory.dirty.clearAll();
        guest.run();
      }
      const inMain = ({ memory }: MockGuest) =>
        [...memory.dirty.gfns()].filter((gfn) => gfn < (8 * 2 ** 20) / PAGE_SIZE);
      expect(inMain(small)).toEqual(inMain(large));
    }
  });
});

test('changed words and clusters follow their parameters', () => {
  const few = boot('workload=random&memory=32M&rate=300&words=4&rewrites=0');
  const many = boot('workload=random&memory=32M&rate=300&words=200&rewrites=0');
  const [a, b] = [stepOf(few), stepOf(many)];
  expect(a.words / a.changed.length).toBeLessThan(8);
  expect(b.words / b.changed.length).toBeGreaterThan(100);
  const scattered = boot('workload=random&memory=32M&rate=1000&cluster=1');
  const clustered = boot('workload=random&memory=32M&rate=1000&cluster=50');
  const runs = (guest: MockGuest) => {
    stepOf(guest);
    return [...guest.memory.dirty.runs()].length;
  };
  expect(runs(clustered)).toBeLessThan(runs(scattered) / 10);
});

test('the checksum kept along equals the one computed, whatever is written', () => {
  const write = fc.record({
    gfn: fc.nat(255),
    kind: fc.constantFrom('word', 'page', 'touch', 'bytes'),
    at: fc.nat(511),
    value: fc.nat(2 ** 32 - 1),
  });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 40 }), (writes) => {
      const guest = boot('memory=1M&resident=0&workload=idle');
      for (const { gfn, kind, at, value } of writes) {
        if (kind === 'word') guest.memory.writeWord(gfn, at, value, value >>> 7);
        else if (kind === 'touch') guest.memory.touch(gfn);
        else if (kind === 'page') guest.memory.writePage(gfn, new Uint8Array(PAGE_SIZE).fill(value));
        else guest.write(gfn, at, Uint8Array.of(value, 1, 2));
        expect(guest.memory.dirty.test(gfn)).toBe(true);
      }
      expect(guest.proof().ok).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test('memory that is written with zeros hashes like memory that never was written', () => {
  const [a, b] = [boot('memory=8M&resident=1M&workload=idle'), boot('memory=8M&resident=1M&workload=idle')];
  b.memory.writePage(1900, new Uint8Array(PAGE_SIZE));
  expect(b.hash()).toBe(a.hash());
  b.write(1900, 17, Uint8Array.of(1));
  expect(b.hash()).not.toBe(a.hash());
  expect(() => a.write(a.memory.pages, 0, Uint8Array.of(1))).toThrow(
    expect.objectContaining({ code: 'ARGUMENT_INVALID' }) as Error,
  );
});

test('a machine of 64 GiB costs what it holds', () => {
  const guest = boot('memory=64G&resident=4M&workload=kv');
  guest.run(3);
  expect(guest.memory.residentBytes).toBeLessThan(64 * 2 ** 20);
  guest.write(2 ** 24 - 1, 4095, Uint8Array.of(9));
  expect(guest.read(2 ** 24 - 1)[4095]).toBe(9);
});
