import { afterEach, expect, it } from 'vitest';
import { hypervisor } from '../src/hypervisor.js';
import { FakeXl } from './fake-xl.js';
import { config } from './streams.js';

const KIB = 80 * 1024;
let xl: FakeXl | undefined;
afterEach(() => xl?.close());

/** A host with dom0 and these guests. */
function host(state: string, ...guests: object[]): void {
  xl = new FakeXl('pvh', [], KIB);
  const dom0 = { domid: 0, config: { c_info: { type: 'pv', name: 'Domain-0' }, b_info: { max_memkb: 1 } } };
  xl.write('list.json', JSON.stringify([dom0, ...guests.map((each) => ({ domid: 1, config: each }))]));
  xl.write('state', `${state}\n`);
}

const guest = (type: 'pv' | 'pvh', disks: object[] = []) => ({
  ...(JSON.parse(config(type, KIB)) as object),
  disks,
});

it('lists the guests of a host, but not dom0, and what each could be given', async () => {
  host('-b----', guest('pvh', [{ vdev: 'xvda', readwrite: 'True', pdev_path: '/d' }, { vdev: 'xvdb' }]));
  const [found, ...more] = (await hypervisor.machines?.()) ?? [];
  expect(more).toEqual([]);
  expect(found).toMatchObject({
    name: 'guest',
    location: 'guest',
    state: 'running',
    memoryBytes: KIB * 1024,
  });
  const ways = found!.ways.map(({ name, increments, refused }) => [name, increments, refused === undefined]);
  // Without Xen's libraries the dirty log is not read, and it says so.
  expect(ways.slice(0, 2)).toEqual([
    ['remus', true, true],
    ['save', false, true],
  ]);
  expect(found!.refused).toBeUndefined();
});

it('says that a PV guest has no increments on this Xen, and why', async () => {
  host('-b----', guest('pv'));
  const [found] = (await hypervisor.machines?.()) ?? [];
  expect(found!.ways.filter(({ refused }) => refused === undefined)).toEqual([
    { name: 'save', increments: false },
  ]);
  expect(found!.ways.find(({ name }) => name === 'remus')?.refused).toContain('shadow paging');
});

it.each([
  ['--p---', 'paused'],
  ['---sc-', 'crashed'],
])('refuses a guest that stands: %s', async (flags, state) => {
  host(flags, guest('pvh'));
  const [found] = (await hypervisor.machines?.()) ?? [];
  expect(found).toMatchObject({ state, refused: { code: 'MACHINE_NOT_RUNNING' } });
});

it('names a guest whose configuration it cannot read, and lists the others', async () => {
  host('-b----', { c_info: { name: 'odd', type: 'xyz' }, b_info: { max_memkb: 4 } }, guest('pvh'));
  const found = (await hypervisor.machines?.()) ?? [];
  expect(found.map(({ name, refused }) => [name, refused?.code])).toEqual([
    ['odd', 'PROTOCOL_ERROR'],
    ['guest', undefined],
  ]);
});

it('asks for those alone that are wanted', async () => {
  host('-b----', guest('pvh'));
  expect(await hypervisor.machines?.({ wanted: ({ name }) => name === 'other' })).toEqual([]);
});
