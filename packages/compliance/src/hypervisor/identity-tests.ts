import assert from 'node:assert/strict';
import { totalPages } from '@fitdoc/interface';
import { expectCode } from '../expect.js';
import type { Guests } from './place.js';

/** What a hypervisor and its machines say of themselves. */
export function identityTests(guests: Guests): void {
  guests.test('names its port, scheme and capabilities', async (place) => {
    const { hypervisor } = place;
    assert.equal(hypervisor.specificationVersion, 'hypervisor-v1');
    assert.match(hypervisor.scheme, /^[a-z][a-z0-9-]+$/);
    assert.ok(hypervisor.supports.attach, 'the suite needs a hypervisor that attaches');
    const restores = 'restoreTarget' in place && place.restoreTarget !== undefined;
    const lists = hypervisor.supports.machines === true;
    assert.equal(typeof hypervisor.machines === 'function', lists, '`supports.machines` is not honest');
    assert.equal(hypervisor.supports.restore, restores, '`supports.restore` is not what the place says');
  });

  guests.attachedTest('describes the machine', async ({ machine, place }) => {
    const { info, supports } = machine;
    assert.match(info.id, /^[A-Za-z0-9._-]{1,64}$/);
    assert.notEqual(info.name, '');
    assert.notEqual(info.hypervisor, '');
    assert.equal(info.scheme, place.hypervisor.scheme);
    assert.deepEqual(JSON.parse(JSON.stringify(info.platform)), info.platform, 'platform is no plain JSON');
    assert.ok(totalPages(info.regions) > 0);
    let next = 0;
    for (const { firstGfn, pages } of info.regions) {
      assert.equal(firstGfn, next, 'regions have gaps or overlap');
      assert.ok(Number.isInteger(pages) && pages > 0);
      next = firstGfn + pages;
    }
    const names = info.regions.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length, 'two regions have one name');
    assert.ok(Object.isFrozen(supports), 'supports is not frozen');
    assert.equal(machine.gone.aborted, false);
  });

  guests.test('takes another identity when told so', async (place) => {
    const machineId = 'suite.other_identity-1';
    const machine = await place.hypervisor.attach(place.location, { ...place.attach, machineId });
    const { id } = machine.info;
    await machine.detach();
    assert.equal(id, machineId);
  });

  guests.test('finds the same identity on every attach', async (place) => {
    const ids: string[] = [];
    for (let i = 0; i < 2; i++) {
      const machine = await place.hypervisor.attach(place.location, place.attach);
      ids.push(machine.info.id);
      await machine.detach();
    }
    assert.equal(ids[0], ids[1]);
  });

  guests.test('attaches to nothing once the signal is aborted', async (place) => {
    const signal = AbortSignal.abort();
    await expectCode(place.hypervisor.attach(place.location, { ...place.attach, signal }), 'ABORTED');
    assert.ok(await place.isRunning(), 'the guest stands still');
  });

  const { absentLocation } = guests.options;
  if (absentLocation === undefined) return;
  guests.test('says so when there is no machine', async ({ hypervisor, attach }) => {
    await expectCode(hypervisor.attach(absentLocation, attach), 'MACHINE_NOT_FOUND', 'LOCATION_INVALID');
  });
}
