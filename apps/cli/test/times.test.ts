import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingForFaketime, SettableClock } from '../../../tools/lab/src/faketime/index.js';
import { gate } from '../../../tools/lab/src/gate.js';
import { fitdocIn, folder, messages, type Outcome } from './cli.js';

const MACHINE = 'mock:dated?memory=4M&resident=1M&working=512K';
const BERLIN = { TZ: 'Europe/Berlin', LC_ALL: 'de_DE.UTF-8', LANG: 'de_DE.UTF-8' };

let place: Awaited<ReturnType<typeof folder>>;
let at: readonly string[];
beforeAll(async () => {
  place = await folder();
  at = ['--store', path.join(place.path, 'store')];
});
afterAll(() => place.remove());

/** Every date in a command's JSON. */
function dates({ out }: Outcome): string[] {
  return out.match(/\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}[^"]{0,12}/g) ?? [];
}

const faketime = gate('faketime', await missingForFaketime());

describe.skipIf(faketime.skip)(faketime.title('after a spell with the clock in 2031'), () => {
  it('the last is the last of the chain, the stray ones are named, and JSON is in UTC everywhere', async () => {
    const clock = await SettableClock.make(path.join(place.path, 'clock'));
    const env = { ...BERLIN, ...clock.env };
    await fitdocIn(env, 'save', MACHINE, '--init', ...at);
    await clock.set(5 * 365 * 86_400);
    await fitdocIn(env, 'save', MACHINE, ...at);
    await clock.set(0);
    const last = await fitdocIn(env, 'save', MACHINE, '--json', ...at);
    const saved = messages(last).at(-1);
    expect(saved).toMatchObject({ kind: 'increment', sequence: 2 });

    const listed = await fitdocIn(BERLIN, 'list', '--json', ...at);
    const { checkpoints } = JSON.parse(listed.out) as {
      checkpoints: { in_future: boolean; sequence: number }[];
    };
    expect(checkpoints.map(({ in_future, sequence }) => [sequence, in_future])).toEqual([
      ...[
        [0, false],
        [1, true],
        [2, false],
      ],
    ]);
    expect((await fitdocIn(BERLIN, 'list', ...at)).out.match(/\(in the future\)/g)).toHaveLength(1);
    const verified = await fitdocIn(BERLIN, 'verify', '--json', ...at);
    expect(messages(verified).at(-1)).toMatchObject({ damaged: 0, in_future: 1 });
    expect(verified.err).toContain('dated in the future');

    for (const spec of ['latest', '@-0s', 'latest~0']) {
      const info = await fitdocIn(BERLIN, 'info', spec, '--json', ...at);
      expect(JSON.parse(info.out)).toMatchObject({ id: saved?.['id'] });
    }
    const all = [last, listed, verified, await fitdocIn(BERLIN, 'info', 'latest~1', '--json', ...at)];
    const found = all.flatMap(dates);
    expect(found.length).toBeGreaterThan(4);
    for (const date of found) expect(date).toMatch(/Z/);
  });

  it('a local time that comes twice is taken as the first, and that is said', async () => {
    const outcome = await fitdocIn(
      BERLIN,
      'restore',
      '2050-10-30T02:30',
      '--to',
      'mock:x',
      '--dry-run',
      '--json',
      ...at,
    );
    expect(outcome.code).toBe(0);
    expect(outcome.err).toMatch(/comes twice.*first, \+02:00; write \+01:00 for the second/);
    expect(messages(outcome)).toHaveLength(1);
  });
});
