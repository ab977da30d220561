import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { LIMITS } from '../src/index.js';
import * as layout from '../src/layout.js';
import { runProgram } from './support/run-program.js';
import { programOf, withDumps, withOutput } from './support/spec-dumps.js';
import { damagedVectors } from './support/damaged-vectors.js';
import { validVectors } from './support/vectors.js';

const spec = await readFile(new URL('../spec/checkpoint-v1.md', import.meta.url), 'utf8');
const root = new URL('../vectors/', import.meta.url);
const valid = await validVectors();
const bytesOf = (name: string) => valid.find((vector) => vector.name === name)?.bytes ?? new Uint8Array(0);
const run = (name: string) => runProgram(programOf(spec), fileURLToPath(new URL(`${name}.fitdoc`, root)));

it('shows dumps of what the writer writes', () => {
  expect(spec.match(/^```hexdump /gm)?.length).toBeGreaterThanOrEqual(4);
  expect(withDumps(spec, bytesOf)).toBe(spec);
});

it('has a program that prints what it says, and reads every valid vector', () => {
  expect(withOutput(spec, run)).toBe(spec);
  for (const { name, summary } of valid.filter(({ stable }) => stable))
    expect(run(name)).toContain(`id ${summary.id} `);
});

it('has a program that refuses damage', () => {
  const names = [
    'btch-payload-flipped',
    'indx-payload-flipped',
    'content-hash-wrong',
    'cut-in-devs',
    'foreign',
  ];
  const known = damagedVectors(bytesOf('base')).map(({ name }) => name);
  for (const name of names) {
    expect(known).toContain(name);
    expect(() => run(`damaged/${name}`)).toThrow();
  }
});

it('names the size caps that hold', () => {
  const rows = [...spec.matchAll(/^\| `(\w+)` +\| (\d+) +\|/gm)].map(([, name, value]) => [
    name,
    Number(value),
  ]);
  expect(Object.fromEntries(rows)).toEqual(LIMITS);
});

it('names the record types that hold', () => {
  const rows = [...spec.matchAll(/^\| `(\S{4})` \| `0x(\w+)`/gm)].map(([, name, value]) => [
    name,
    parseInt(value ?? '', 16),
  ]);
  expect(rows).toEqual([
    ['HEAD', layout.RECORD_HEADER],
    ['BTCH', layout.RECORD_BATCH],
    ['DISK', layout.RECORD_DISK],
    ['DEVS', layout.RECORD_DEVICE_STATE],
    ['EXTN', layout.RECORD_EXTENSION],
    ['INDX', layout.RECORD_INDEX],
    ['SUMM', layout.RECORD_SUMMARY],
    ['END.', layout.RECORD_END],
  ]);
});
