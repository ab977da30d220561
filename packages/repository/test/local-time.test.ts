import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseTime } from '../src/index.js';
import { localMoment, zoneOf } from '../src/catalogue/local-time.js';

const zone = process.env['TZ'];
afterAll(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

function parsed(text: string): { at: string; notes: string[] } {
  const notes: string[] = [];
  const at = new Date(parseTime(text, 0, (note) => notes.push(note))!).toISOString();
  return { at, notes };
}

describe('a time without a zone, in Berlin', () => {
  beforeAll(() => {
    process.env['TZ'] = 'Europe/Berlin';
  });

  it('that comes twice means the first, which is told, with how to name the second', () => {
    const { at, notes } = parsed('2026-10-25T02:30');
    expect(at).toBe('2026-10-25T00:30:00.000Z');
    expect(notes).toEqual([
      expect.stringMatching(/comes twice.*first, \+02:00; write \+01:00 for the second/),
    ]);
    expect(parsed('2026-10-25T02:30+01:00')).toEqual({ at: '2026-10-25T01:30:00.000Z', notes: [] });
  });

  it('that never comes means the moment of the change, which is told', () => {
    const { at, notes } = parsed('2026-03-29T02:30');
    expect(at).toBe('2026-03-29T01:00:00.000Z');
    expect(notes).toEqual([expect.stringContaining('2026-03-29T01:00:00.000Z')]);
  });

  it('that comes once is what it says', () => {
    expect(parsed('2026-10-25T01:59')).toEqual({ at: '2026-10-24T23:59:00.000Z', notes: [] });
    expect(parsed('2026-10-25T03:00')).toEqual({ at: '2026-10-25T02:00:00.000Z', notes: [] });
    expect(parsed('2026-03-29T03:00')).toEqual({ at: '2026-03-29T01:00:00.000Z', notes: [] });
    expect(parsed('2026-07-01')).toEqual({ at: '2026-06-30T22:00:00.000Z', notes: [] });
  });
});

it.each(['Australia/Lord_Howe', 'America/St_Johns', 'Africa/Casablanca', 'UTC', 'Pacific/Apia'])(
  'every moment is one of those that its local time means, in %s',
  (name) => {
    process.env['TZ'] = name;
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(2015, 0), max: Date.UTC(2035, 0) }), (moment) => {
        const local = moment - new Date(moment).getTimezoneOffset() * 60_000;
        const found = localMoment(local);
        const meant = found.kind === 'two' ? [found.atMs, found.secondMs] : [found.atMs];
        expect(found.kind).not.toBe('none');
        expect(meant).toContain(moment);
        expect(new Date(`${new Date(local).toISOString().slice(0, -1)}${zoneOf(moment)}`).getTime()).toBe(
          moment,
        );
      }),
      { numRuns: 500 },
    );
  },
);
