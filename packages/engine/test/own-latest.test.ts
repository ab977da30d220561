import { stateOf } from '@fitdoc/repository';
import type { Machine, MachineOrigin } from '@fitdoc/interface';
import type { ProtectionEvent } from '@fitdoc/engine';
import { afterEach, expect, it } from 'vitest';
import { setUp, type Setup } from './support.js';

let setup: Setup;
afterEach(() => setup.close());

/** The same guest, as one that began as a state of another's chain. */
function begunAs(machine: Machine, origin: MachineOrigin): Machine {
  const info = { ...machine.info, origin };
  const get = (target: Machine, name: string): unknown => {
    if (name === 'info') return info;
    const value = (target as unknown as Record<string, unknown>)[name];
    return typeof value === 'function' ? (value.bind(target) as unknown) : value;
  };
  return new Proxy(machine, { get: (target, name) => get(target, String(name)) });
}

it('one that took a machine over goes on from its own, past what the other stored meanwhile, whole or not', async () => {
  setup = await setUp('memory=4M&workload=kv&seed=4');
  const { engine, repository, machine, store } = setup;
  const { id } = machine.info;
  const old = await engine.protect(machine, repository);
  const beginning = (await old.checkpoint()).entry;
  const passedOver = (await old.checkpoint()).entry;
  await old.end();
  const state = stateOf(beginning);
  await repository.takeovers.take(id, { state, token: 'one', place: 'here', after: undefined });
  const own = begunAs(machine, { machine: id, state });
  const from: (string | undefined)[] = [];
  const onEvent = (event: ProtectionEvent): void => {
    if (event.type === 'resumed') from.push(event.from.id);
  };

  const bytes = await store.get(passedOver.key);
  const damaged = Uint8Array.from(bytes);
  damaged[40]! ^= 0x40;
  await store.put(passedOver.key, damaged, { mode: 'replace' });
  await expect(repository.openCheckpoint(passedOver)).rejects.toMatchObject({
    code: expect.stringMatching(/^FORMAT/) as string,
  });
  await (await engine.protect(own, repository, { onEvent })).end();
  await store.put(passedOver.key, bytes, { mode: 'replace' });
  const first = await engine.protect(own, repository, { onEvent });
  const { entry } = await first.checkpoint({ full: true });
  expect(entry).toMatchObject({ parentId: beginning.id, sequence: passedOver.sequence + 1 });
  expect(await setup.restored(entry.id)).toBe(await setup.hash());
  await first.end();
  await (await engine.protect(own, repository, { onEvent })).end();
  expect(from).toEqual([beginning.id, beginning.id, entry.id]);
});
