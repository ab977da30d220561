import { FitdocError } from '@fitdoc/interface';
import { withFaults } from '@fitdoc/store-decorators';
import { MemoryStore } from '@fitdoc/store-memory';
import { expect, it } from 'vitest';
import { CLAIM_TTL_MS, Repository, type TakeoverRequest, type Writer } from '../src/index.js';
import { FakeClock } from './support/fake-clock.js';

const OLD: Writer = { location: 'kvm:/run/a/vm.qmp', program: 'fitdoc watch' };
const STATE = 'a'.repeat(64);
const NEW: Writer = {
  ...{ location: 'kvm:/standby/machine/qmp.sock', program: 'fitdoc watch' },
  origin: { machine: 'vm', state: STATE },
};
const CONFLICT = { code: 'MACHINE_CONFLICT' };

function request(more: Partial<TakeoverRequest> = {}): TakeoverRequest {
  return { state: STATE, token: 'one', place: 'b:/standby', after: undefined, ...more };
}

async function place(): Promise<{ clock: FakeClock; store: MemoryStore; open: () => Promise<Repository> }> {
  const clock = new FakeClock();
  const store = new MemoryStore({ now: clock.now });
  await Repository.init(store, { clock });
  return { clock, store, open: () => Repository.open(store, { clock }) };
}

it('fences a writer that lives: within seconds it is refused, and told what to do; the one that took over may write', async () => {
  const { clock, open } = await place();
  const [old, standby] = [await open(), await open()];
  const claim = await old.claim('vm', OLD);
  expect(await standby.writers('vm')).toMatchObject([{ location: OLD.location }]);
  await standby.takeovers.take('vm', request());
  const fresh = await standby.claim('vm', NEW);
  clock.jump(5_000);
  const refused = await claim.ensure({}).catch((error: unknown) => error as FitdocError);
  expect(refused).toMatchObject(CONFLICT);
  expect((refused as Error).message).toContain('b:/standby');
  expect((refused as FitdocError).hint).toMatch(/--fork.*unfence/);
  await claim.release();
  await expect(fresh.ensure({})).resolves.toBeUndefined();
  await standby.close();
  // Also when nobody else writes it.
  await expect(old.claim('vm', OLD)).rejects.toMatchObject(CONFLICT);
  await expect(
    old.claim('vm', { ...OLD, origin: { machine: 'vm', state: 'b'.repeat(64) } }),
  ).rejects.toMatchObject(CONFLICT);
  await expect(old.claim('vm', { ...OLD, origin: { machine: 'other', state: STATE } })).rejects.toMatchObject(
    CONFLICT,
  );
  await (await old.claim('vm.fork-1', OLD)).release();
  await (await old.claim('vm', NEW)).release();
});

it('a writer that was cut off finds the chain taken over when it is back', async () => {
  const { clock, store, open } = await place();
  let cut = false;
  const error = new FitdocError('STORE_UNAVAILABLE', 'no route');
  const old = await Repository.open(
    withFaults(store, () => (cut ? { error } : undefined)),
    { clock },
  );
  const claim = await old.claim('vm', OLD);
  cut = true;
  clock.jump(10_000);
  await expect(claim.ensure({})).resolves.toBeUndefined();
  const standby = await open();
  await standby.takeovers.take('vm', request());
  clock.jump(CLAIM_TTL_MS * 2);
  cut = false;
  await expect(claim.ensure({})).rejects.toMatchObject(CONFLICT);
  await old.close();
  expect(await standby.writers('vm')).toEqual([]);
});

it('a fenced writer that tries again, and again, is told so and is in nobody\u2019s way', async () => {
  const { clock, store, open } = await place();
  const claims: string[] = [];
  const old = await Repository.open(
    withFaults(store, ({ operation, key }) => {
      if (operation === 'put' && key.startsWith('locks/claims/')) claims.push(key);
      return undefined;
    }),
    { clock },
  );
  const claim = await old.claim('vm', OLD);
  const standby = await open();
  await standby.takeovers.take('vm', request());
  claims.length = 0;
  for (let second = 0; second < 12; second++) {
    clock.jump(1_000);
    const tried = claim.ensure({}).catch((error: unknown) => error as FitdocError);
    if (second < 4) await tried;
    else expect(((await tried) as Error).message).toContain('b:/standby');
  }
  await expect(old.claim('vm', OLD)).rejects.toMatchObject(CONFLICT);
  // Each would be another writer's to who looks at that moment.
  expect(claims).toEqual([]);
  const fresh = await standby.claim('vm', NEW);
  clock.jump(1_000);
  const refused = await claim.ensure({}).catch((error: unknown) => error as FitdocError);
  expect((refused as Error).message).toContain('was taken over: since');
  await fresh.release();
  await old.close();
});

it('of many that take over at once one does', async () => {
  const { open } = await place();
  const all = await Promise.all(Array.from({ length: 6 }, open));
  const tries = await Promise.allSettled(
    all.map((each, index) => each.takeovers.take('vm', request({ token: `token-${index}` }))),
  );
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const winner = tries.findIndex(({ status }) => status === 'fulfilled');
  const latest = await all[0]!.takeovers.latest('vm');
  expect(latest).toMatchObject({ token: `token-${winner}`, generation: 1, state: STATE });
  // The same attempt may go on; the next generation is one.
  await all[0]!.takeovers.take('vm', request({ token: `token-${winner}` }));
  expect(await all[0]!.takeovers.take('vm', request({ token: 'next', after: latest }))).toMatchObject({
    generation: 2,
  });
  await expect(all[1]!.takeovers.take('vm', request({ token: 'late', after: latest }))).rejects.toMatchObject(
    CONFLICT,
  );
});

it('is refused where the store lets two put one object: before anything is there, and told from the first', async () => {
  class WeakStore extends MemoryStore {
    override readonly supports = { conditionalPut: false, durable: false };
  }
  const { takeovers } = await Repository.init(new WeakStore());
  const refusal = expect.objectContaining({ code: 'CAPABILITY_MISSING' }) as Error;
  expect(() => takeovers.check()).toThrow(refusal);
  await expect(takeovers.take('vm', request())).rejects.toEqual(refusal);
  expect(await takeovers.latest('vm')).toBeUndefined();
  // Nobody is fenced by one that lets everybody write.
  await takeovers.take('vm', request({ state: undefined }));
});

it('one that came to nothing is withdrawn, unless another came after it; one without a state lets everybody write', async () => {
  const { open } = await place();
  const repository = await open();
  const { takeovers } = repository;
  const first = await takeovers.take('vm', request());
  await takeovers.withdraw('vm', first);
  expect(await takeovers.latest('vm')).toBeUndefined();
  await (await repository.claim('vm', OLD)).release();
  const again = await takeovers.take('vm', request());
  const second = await takeovers.take('vm', request({ token: 'two', after: again }));
  await takeovers.withdraw('vm', again);
  expect(await takeovers.latest('vm')).toEqual(second);
  await expect(repository.claim('vm', OLD)).rejects.toMatchObject(CONFLICT);
  await takeovers.take('vm', { token: 'three', place: 'c', state: undefined, after: second });
  await (await repository.claim('vm', OLD)).release();
});
