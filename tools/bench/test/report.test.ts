import { describe, expect, test } from 'vitest';
import { misses, toDocument, toTable, type SectionResult } from '../src/report.js';
import { isMet, type Row, type Section } from '../src/section.js';
import { loadSections } from '../src/sections.js';
import { compare, median, pairedRatio } from '../src/timing.js';

const section: Section = { name: 'sample', title: 'A sample', run: () => Promise.resolve([]) };
const row: Row = { name: 'a', variant: 'b', value: 3, unit: 'us', ratio: 1.2, ratioTo: 'c' };

describe('a target', () => {
  test.each<[string, Row, boolean | undefined]>([
    ['absent', row, undefined],
    ['ratio below a ceiling', { ...row, target: { of: 'ratio', atMost: 1.2 } }, true],
    ['ratio above a ceiling', { ...row, target: { of: 'ratio', atMost: 1.1 } }, false],
    ['value above a floor', { ...row, target: { of: 'value', atLeast: 3 } }, true],
    ['value below a floor', { ...row, target: { of: 'value', atLeast: 3.1 } }, false],
    [
      'no figure',
      { name: 'a', variant: 'b', value: 3, unit: 'us', target: { of: 'ratio', atMost: 9 } },
      false,
    ],
    ['no number', { ...row, value: NaN, target: { of: 'value', atMost: 9 } }, false],
  ])('%s', (_, sample, expected) => {
    expect(isMet(sample)).toBe(expected);
  });
});

describe('the report', () => {
  const missed: Row = { ...row, target: { of: 'ratio', atMost: 1.1 } };
  const results: SectionResult[] = [
    { section, rows: [row, missed] },
    { section: { ...section, name: 'absent' }, rows: [], skipped: 'no such device' },
    { section: { ...section, name: 'broken' }, rows: [], failed: 'it broke' },
  ];

  test('is a document of rows by section, with what is missing and why', () => {
    const document = toDocument(results, false, 5);
    expect(document.sections).toEqual({ sample: [row, missed] });
    expect(document.skipped).toEqual({ absent: 'no such device' });
    expect(document.failed).toEqual({ broken: 'it broke' });
    expect(document.node).toBe(process.version);
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  });

  test('names the targets that were missed', () => {
    expect(misses(results)).toEqual(['sample: a, b: ratio <= 1.1 MISSED (1.2)']);
  });

  test('shows rows, what was skipped and what failed', () => {
    const [ran, skipped, failed] = results.map(toTable);
    expect(ran).toContain('1.2 x c');
    expect(skipped).toContain('skipped: no such device');
    expect(failed).toContain('FAILED: it broke');
  });
});

test('contenders take turns, prepared before each sample', async () => {
  const calls: string[] = [];
  const contender = (name: string) => ({
    name,
    prepare: () => void calls.push(`prepare ${name}`),
    run: () => void calls.push(name),
  });
  const timings = await compare([contender('a'), contender('b')], { rounds: 2, warmUpMs: 0 });
  expect(calls.slice(4)).toEqual([
    ...['prepare a', 'a', 'prepare b', 'b'],
    ...['prepare b', 'b', 'prepare a', 'a'],
  ]);
  expect(timings.get('a')?.samples).toHaveLength(2);
});

test('a ratio is the median of the ratios of the same round', () => {
  const timing = (...samples: number[]) => ({ samples, minimum: 0, median: 0 });
  expect(pairedRatio(timing(2, 20, 4), timing(1, 10, 4))).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test('every file in sections/ is a section of its own name', async () => {
  const names = (await loadSections()).map(({ name }) => name);
  expect(names).toContain('scan');
  expect(new Set(names).size).toBe(names.length);
});
