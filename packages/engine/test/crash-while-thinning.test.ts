import { afterEach, beforeEach, expect, it } from 'vitest';
import { World, type Crash } from './history-world.js';

const POLICY = { keepLast: 2, timeZone: 'UTC' };
const NO_DRAW = { below: () => 0 };

let world: World;
beforeEach(async () => {
  world = await World.begin(11);
});
afterEach(() => world.end());

/** Two lines that part, with a tag on each and one before both. */
async function branched(): Promise<void> {
  const take = async (count: number) => {
    for (let i = 0; i < count; i++) await world.capture(1_000);
    return (await world.repository.checkpoints()).at(-1)!;
  };
  await world.tag('early', await take(3));
  const fork = await take(2);
  await world.tag('one-line', await take(2));
  await take(2);
  await world.reopen(fork);
  await world.tag('other-line', await take(2));
  await take(4);
}

/** The states that are there, and what else but the catalogue. */
async function shape(): Promise<string[]> {
  const states = (await world.objects()).map(({ id }) => id);
  const others = [...(await world.snapshot()).keys()].filter((key) => !/^(machines|catalogue)\//.test(key));
  return [...new Set([...states, ...others])].sort();
}

it('loses nothing at a crash in any call of the store, and the next run does all the rest', async () => {
  await branched();
  const kept = await world.kept(POLICY);
  await world.restart();
  const before = await world.snapshot();
  expect(await world.thin(POLICY)).toBe(true);
  await world.check(kept, 0, NO_DRAW);
  const whole = await shape();
  expect(whole.length).toBeLessThan(before.size);
  const met = new Set<string>();
  let last = '';
  const ends = async (at: number, when: Crash['when']): Promise<boolean> => {
    await world.rewind(before);
    const onCall = (operation: string, key: string) => {
      met.add(`${operation} ${key.split('/')[0]}`);
      last = operation;
    };
    const isWhole = await world.thin(POLICY, { at, when, onCall });
    // Another process than the one that crashed, and than the one that goes on.
    await world.restart();
    await world.check(kept, 1, NO_DRAW);
    expect(await world.thin(POLICY)).toBe(true);
    expect(world.left).toEqual([]);
    await world.check(kept, 0, NO_DRAW);
    expect(await shape()).toEqual(whole);
    return isWhole;
  };
  // What only reads leaves the store as the change before it did, and so does a change that was not begun.
  let changes = 0;
  for (let isWhole = await ends(1, 'before'); !isWhole; changes++) {
    for (const when of ['after', 'half'] as const) {
      if (when === 'half' && last !== 'deleteMany') continue;
      isWhole = await ends(changes + 1, when).catch((cause: unknown) => {
        throw new Error(`a crash ${when} change ${changes + 1}`, { cause });
      });
    }
  }
  const calls = [...met].sort().join(', ');
  console.log(`cut off at each of ${changes} calls that change the store: ${calls}`);
  expect([...met]).toEqual(expect.arrayContaining(['put machines', 'put locks', 'deleteMany machines']));
});
