import fc from 'fast-check';
import { writeCheckpoint } from '@fitdoc/format';
import type { Store } from '@fitdoc/interface';
import { MemoryStore } from '@fitdoc/store-memory';
import { describe, expect, it } from 'vitest';
import { Catalogue } from '../src/catalogue/catalogue.js';
import { checkpointKey } from '../src/layout.js';
import { content, header } from './support/checkpoints.js';
import { Scheduler, settled } from './support/scheduled-store.js';

const HOUR = 3_600_000;
const SMALL = {
  sizes: [2, 4, 8] as const,
  openSize: 4,
  fanOut: 2,
  worthwhile: 1,
  flushEvery: 2,
  packEvery: 1_000,
  steady: () => 0,
};

const nonce = '0123456789ab';
const keyOf = (sequence: number) => checkpointKey({ machineId: 'm', sequence, createdAtMs: 1 }, nonce);

const objects = new Map<number, Uint8Array>();

/** The object of a checkpoint, the same each time. */
async function objectOf(sequence: number): Promise<Uint8Array> {
  const known = objects.get(sequence);
  if (known) return known;
  const output = writeCheckpoint(
    header({ machine: 'm', sequence, capturedAtMs: 1_000 + sequence }),
    content(),
  );
  const parts: Uint8Array[] = [];
  for await (const part of output.stream) parts.push(part);
  const bytes = new Uint8Array(Buffer.concat(parts));
  objects.set(sequence, bytes);
  return bytes;
}

/** What happens by itself, as code; it is given its own handle on the store. */
type Actor = (catalogue: Catalogue, world: World) => Promise<void>;

class World {
  now = 0;
  readonly memory = new MemoryStore({ now: () => this.now });
  /** Keys whose put was acknowledged, and that nobody deleted. */
  readonly acknowledged = new Set<string>();
  readonly wrong: string[] = [];

  async put(catalogue: Catalogue, store: Store, sequence: number): Promise<void> {
    const [key, bytes] = [keyOf(sequence), await objectOf(sequence)];
    await catalogue.admit(key, () => store.put(key, bytes));
    this.acknowledged.add(key);
  }
}

const put =
  (...sequences: number[]): Actor =>
  async (catalogue, world) => {
    for (const sequence of sequences) await world.put(catalogue, storeOf(catalogue), sequence);
  };
const pack: Actor = async (catalogue) => void (await catalogue.pack('m'));
const audit: Actor = async (catalogue) => void (await catalogue.pack('m', { audit: true }));
const list: Actor = async (catalogue, world) => {
  const before = [...world.acknowledged];
  const seen = new Set((await catalogue.list({ machine: 'm' })).map(({ key }) => key));
  for (const key of before)
    if (!seen.has(key) && world.acknowledged.has(key)) world.wrong.push(`unseen: ${key}`);
};
const remove =
  (...sequences: number[]): Actor =>
  async (catalogue, world) => {
    for (const key of sequences.map(keyOf)) {
      world.acknowledged.delete(key);
      await storeOf(catalogue).delete(key);
      catalogue.forget(key);
    }
    catalogue.thinned('m');
    await catalogue.close();
  };

const stores = new WeakMap<Catalogue, Store>();
const storeOf = (catalogue: Catalogue): Store => stores.get(catalogue)!;

function handle(store: Store): Catalogue {
  const catalogue = new Catalogue(store, SMALL);
  stores.set(catalogue, store);
  return catalogue;
}

let start: Promise<World> | undefined;

/** A copy of the world that `ageing` makes. */
async function aged(): Promise<World> {
  const from = await (start ??= ageing());
  const world = new World();
  for await (const { key, modifiedMs } of from.memory.list('')) {
    world.now = modifiedMs;
    await world.memory.put(key, await from.memory.get(key));
  }
  world.now = from.now;
  for (const key of from.acknowledged) world.acknowledged.add(key);
  return world;
}

/** Twelve old objects of even numbers that are packed, some that are not, and the last an hour later. */
async function ageing(): Promise<World> {
  const world = new World();
  const first = handle(world.memory);
  for (let sequence = 10; sequence < 34; sequence += 2) await world.put(first, world.memory, sequence);
  world.now = HOUR;
  await world.put(first, world.memory, 40);
  await first.pack('m');
  world.now = 2 * HOUR;
  for (const sequence of [42, 44, 46]) await world.put(first, world.memory, sequence);
  world.now = 3 * HOUR;
  await world.put(first, world.memory, 50);
  return world;
}

/** Runs the actors; `choose` picks who goes next, or (negative) who dies. */
async function run(actors: readonly Actor[], choose: (ready: number) => number): Promise<World> {
  const world = await aged();
  const scheduler = new Scheduler();
  const names = actors.map((_, index) => `actor ${index}`);
  for (const [index, actor] of actors.entries()) {
    const catalogue = handle(scheduler.storeOf(names[index]!, world.memory));
    void actor(catalogue, world).catch((error: unknown) => world.wrong.push(String(error)));
  }
  await settled();
  for (let ready = scheduler.ready; ready.length > 0; ready = scheduler.ready) {
    const choice = choose(ready.length);
    if (choice < 0) scheduler.crash(ready[-choice - 1]!);
    else scheduler.step(ready[choice]!);
    await settled();
  }
  return world;
}

const ROUNDS = ['as it was left', 'packed again', 'audited'];

/** Whatever is in the store, a fresh reader sees; nobody who read meanwhile missed what was acknowledged before. */
async function check(world: World, rounds = ROUNDS): Promise<void> {
  expect(world.wrong).toEqual([]);
  const there: string[] = [];
  for await (const { key } of world.memory.list('machines/')) there.push(key);
  for (const key of world.acknowledged) expect(there).toContain(key);
  for (const round of rounds) {
    if (round === 'packed again') await handle(world.memory).pack('m');
    if (round === 'audited') await handle(world.memory).pack('m', { audit: true });
    const seen = (await handle(world.memory).list({ machine: 'm' })).map(({ key }) => key);
    if (round === 'audited') expect(seen, round).toEqual(there);
    else expect(seen, round).toEqual(expect.arrayContaining(there));
  }
}

/** Runs every schedule of the actors, with at most `crashes` of them dying, and gives how many there were. */
async function everySchedule(actors: readonly Actor[], crashes: number): Promise<number> {
  let schedules = 0;
  const prefix: number[] = [];
  for (;;) {
    const options: number[] = [];
    let dead = 0;
    const taken: number[] = [];
    const world = await run(actors, (ready) => {
      const all = ready + (dead < crashes ? ready : 0);
      const choice = prefix[taken.length] ?? 0;
      taken.push(choice);
      options.push(all);
      if (choice < ready) return choice;
      dead++;
      return -(choice - ready) - 1;
    });
    await check(world, schedules % 20 === 0 ? ROUNDS : ROUNDS.slice(0, 1));
    schedules++;
    // The next in the order of choices, from the last that has another.
    let at = taken.length - 1;
    while (at >= 0 && taken[at]! + 1 >= options[at]!) at--;
    if (at < 0) return schedules;
    prefix.length = 0;
    prefix.push(...taken.slice(0, at), taken[at]! + 1);
  }
}

/** Runs schedules drawn at random, in which actors may die. */
async function someSchedules(actors: readonly Actor[], runs: number): Promise<void> {
  const choices = fc.infiniteStream(fc.nat({ max: 999 }));
  await fc.assert(
    fc.asyncProperty(choices, fc.nat({ max: 40 }), async (stream, lethal) => {
      let steps = 0;
      const world = await run(actors, (ready) => {
        const choice = stream.next().value! % ready;
        return steps++ === lethal ? -choice - 1 : choice;
      });
      await check(world);
    }),
    { numRuns: runs },
  );
}

describe('segments among several processes', () => {
  it('lose nothing by a late put beside a packer, in any order, whoever dies', async () => {
    const schedules = await everySchedule([put(15), pack], 1);
    expect(schedules).toBeGreaterThan(500);
  }, 600_000);

  it('lose nothing among two writers, two packers and a reader, in orders drawn at random', async () => {
    await someSchedules([put(52, 54), put(15, 51), pack, audit, list], 150);
  }, 600_000);

  it('lose nothing beside a remover that rewrites what it thinned', async () => {
    await someSchedules([put(17, 60), remove(20, 22, 24), pack, list, list], 150);
  }, 600_000);
});
