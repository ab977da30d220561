import { tmpdir } from 'node:os';
import { hypervisor, machineHash } from '@fitdoc/hypervisor-mock';
import { isFitdocError } from '@fitdoc/interface';
import { Repository } from '@fitdoc/repository';
import { MemoryStore } from '@fitdoc/store-memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEngine, restore, type Engine, type Protection } from '@fitdoc/engine';
import { MemoryBudget, type Free } from '../src/memory/memory-budget.js';
import { sharesOf } from '../src/memory/shares.js';
import { MoodyStore } from './moody-store.js';
import { machineName } from './support.js';

const MIB = 2 ** 20;
/** Little more than the least that there can be, and a good deal less than the guest has. */
const TIGHT = 19 * MIB;
const GUEST = 'memory=40M&resident=38M&workload=database&working=12M&rate=600';
const coldDirectory = tmpdir();

type Turn = 'checkpoint' | 'full' | 'store fails' | 'attach anew' | 'squeeze';

interface Outcome {
  readonly bytes: number;
  readonly rightAtEach: readonly boolean[];
}

async function live(memoryBudget: number, seed: number, turns: readonly Turn[]): Promise<Outcome> {
  const name = machineName();
  const engine = createEngine({ workers: 2, memoryBudget, coldDirectory });
  const store = new MoodyStore();
  const repository = await Repository.init(store);
  const machine = await hypervisor.attach(`${name}?${GUEST}&seed=${seed}`);
  let protection = await engine.protect(machine, repository);
  let bytes = 0;
  const rightAtEach: boolean[] = [];
  for (const turn of turns) {
    if (turn === 'attach anew') {
      await protection.end();
      protection = await engine.protect(machine, repository);
    }
    if (turn === 'squeeze') await squeeze(engine);
    store.failing = turn === 'store fails';
    const result = await protection.checkpoint({ full: turn === 'full' }).catch((error: unknown) => {
      if (!isFitdocError(error, 'STORE_FULL')) throw error;
    });
    if (!result) continue;
    bytes += result.entry.bytes;
    rightAtEach.push((await restored(engine, repository, result.entry.id)) === (await machineHash(name)));
  }
  await machine.detach();
  await engine.close();
  return { bytes, rightAtEach };
}

/** Another machine wants its part of the budget, and goes. */
async function squeeze(engine: Engine): Promise<void> {
  const other = await hypervisor.attach(`${machineName()}?memory=8M&resident=4M&working=1M`);
  const repository = await Repository.init(new MemoryStore());
  const protection = await engine
    .protect(other, repository)
    .catch((error: unknown): Protection | undefined => {
      if (!isFitdocError(error, 'MEMORY_BUDGET')) throw error;
      return undefined;
    });
  await protection?.checkpoint();
  await protection?.end();
  await other.detach();
}

async function restored(engine: Engine, repository: Repository, id: string): Promise<string> {
  const target = machineName();
  const entry = await repository.resolve(id);
  await restore(engine, { repository, entry, hypervisor, location: target });
  return machineHash(target);
}

describe('a guest that has less memory than it needs', () => {
  it('is checkpointed as one that has enough, byte for byte', async () => {
    const turns = fc.array(
      fc.oneof(
        { weight: 5, arbitrary: fc.constant<Turn>('checkpoint') },
        ...(['full', 'store fails', 'attach anew', 'squeeze'] as const).map((turn) => ({
          weight: 1,
          arbitrary: fc.constant<Turn>(turn),
        })),
      ),
      { minLength: 5, maxLength: 5 },
    );
    const property = fc.asyncProperty(turns, fc.nat(1000), async (plan, seed) => {
      const tight = await live(TIGHT, seed, plan);
      const whole = await live(2048 * MIB, seed, plan);
      expect(tight.rightAtEach.every((right) => right)).toBe(true);
      expect(tight.rightAtEach).toHaveLength(whole.rightAtEach.length);
      // Page for page the same; compressed, they may lie in other batches.
      expect(tight.bytes).toBeLessThan(whole.bytes * 1.01);
    });
    await fc.assert(property, { numRuns: 1 });
  });

  it('keeps within its budget', async () => {
    const engine = createEngine({ workers: 2, memoryBudget: TIGHT, coldDirectory });
    const repository = await Repository.init(new MemoryStore());
    const machine = await hypervisor.attach(`${machineName()}?${GUEST}&seed=5`);
    const protection = await engine.protect(machine, repository);
    for (let i = 0; i < 4; i++) {
      const { notes } = await protection.checkpoint();
      expect(protection.imageBytes).toBeLessThan(TIGHT);
      expect(notes).toEqual([]);
    }
    await machine.detach();
    await engine.close();
  });

  it.each([
    ['a budget too small for it', { memoryBudget: 10 * MIB }, /needs at least \d+ MiB .* budget is 10 MiB/],
    ['a cold directory that is not there', { memoryBudget: TIGHT, coldDirectory: '/no/such' }, /\/no\/such/],
  ])('is refused by name, with what to do: %s', async (_, options, message) => {
    const engine = createEngine({ workers: 1, ...options });
    const repository = await Repository.init(new MemoryStore());
    const machine = await hypervisor.attach(`${machineName()}?${GUEST}`);
    const error: unknown = await engine.protect(machine, repository).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'MEMORY_BUDGET', message: expect.stringMatching(message) as string });
    expect((error as { hint: string }).hint).toMatch(/memory budget/);
    await machine.detach();
    await engine.close();
  });
});

describe('sharesOf', () => {
  it('gives each its least, then evenly what they work with, then the rest, and never more than there is', () => {
    const need = fc
      .tuple(fc.nat(50), fc.nat(100), fc.nat(500))
      .map(([least, more, rest]) => ({ least, working: least + more, whole: least + more + rest }));
    fc.assert(
      fc.property(fc.array(need, { minLength: 1, maxLength: 6 }), fc.nat(2000), (needs, more) => {
        const total = needs.reduce((sum, { least }) => sum + least, 0) + more;
        const shares = sharesOf(total, needs);
        const whole = needs.reduce((sum, each) => sum + each.whole, 0);
        const given = shares.reduce((sum, share) => sum + share, 0);
        expect(given).toBeLessThanOrEqual(total);
        expect(given).toBeGreaterThanOrEqual(Math.min(total, whole) - needs.length);
        shares.forEach((share, index) => {
          expect(share).toBeGreaterThanOrEqual(needs[index]!.least);
          expect(share).toBeLessThanOrEqual(needs[index]!.whole);
        });
        const someoneRich = shares.some((share, index) => share > needs[index]!.working);
        if (someoneRich)
          shares.forEach((share, index) => expect(share).toBeGreaterThanOrEqual(needs[index]!.working - 1));
      }),
    );
  });
});

describe('MemoryBudget', () => {
  const holder = (name: string, least: number, whole: number) => {
    const state = { bytes: 0 };
    return {
      ...{ name, state, idle: true, used: () => 0 },
      need: () => ({ least, working: least, whole }),
      resize: (bytes: number) => Promise.resolve(void (state.bytes = bytes)),
    };
  };

  it('gives what others can spare to a newcomer, and back when it goes', async () => {
    const budget = new MemoryBudget(100);
    const [first, second] = [holder('first', 10, 90), holder('second', 10, 90)];
    const one = await budget.claim(first);
    expect(one.bytes).toBe(90);
    const two = await budget.claim(second);
    expect([one.bytes, two.bytes]).toEqual([50, 50]);
    expect(first.state.bytes).toBe(50);
    two.end();
    await budget.rebalance();
    expect(one.bytes).toBe(90);
  });

  it('refuses, before anybody gave anything, whom it has not the least for', async () => {
    // What the workers take is left to them.
    const free: Free = { bytes: 168 * MIB, group: '/small', limit: 200 * MIB };
    const budget = new MemoryBudget(undefined, () => free);
    const one = await budget.claim(holder('first', 30 * MIB, 30 * MIB));
    await expect(budget.claim(holder('The image of second', 20 * MIB, 30 * MIB))).rejects.toMatchObject({
      code: 'MEMORY_BUDGET',
      message: expect.stringMatching(/The image of second needs at least .*control group \/small/) as string,
      hint: expect.stringContaining('MemoryMax=') as string,
    });
    expect(one.bytes).toBe(30 * MIB);
  });
});
