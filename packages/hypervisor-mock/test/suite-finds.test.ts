import { hypervisorSuite } from '@fitdoc/compliance/hypervisor';
import {
  FitdocError,
  PAGE_SIZE,
  type DiskExtent,
  type DiskExtents,
  type Harvest,
  type HarvestDisk,
  type Hypervisor,
  type Machine,
  type PageSink,
  type RestoreOptions,
  type RestoreSource,
} from '@fitdoc/interface';
import { expect, test } from 'vitest';
import { MockHypervisor } from '../src/mock-hypervisor.js';

/** An adapter that breaks the port in one way; everything else is the mock's. */
interface Sabotage {
  machine?(machine: Machine, mock: MockHypervisor): Partial<Machine>;
  harvest?(harvest: Harvest, mock: MockHypervisor): Partial<Harvest>;
  sink?(sink: PageSink): Partial<PageSink>;
  restore?(mock: MockHypervisor, source: RestoreSource, options?: RestoreOptions): Promise<unknown>;
}

/** `base` with some members replaced; the others keep their `this`. */
function over<T extends object>(base: T, changes: Partial<T>): T {
  return new Proxy(base, {
    get(target, key) {
      if (key in changes) return changes[key as keyof T];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

function sabotaged(mock: MockHypervisor, sabotage: Sabotage): Hypervisor {
  const restore: Hypervisor['restore'] = async (location, source, options) => {
    if (!sabotage.restore) return mock.restore(location, source, options);
    await sabotage.restore(mock, source, options);
    return { state: 'running', pages: 1, notes: [] };
  };
  return over<Hypervisor>(mock, {
    restore,
    async attach(location, options) {
      const machine = await mock.attach(location, options);
      const capture: Machine['capture'] = async (sink, captureOptions) => {
        const bent = sabotage.sink ? over(sink, sabotage.sink(sink)) : sink;
        const harvest = await machine.capture(bent, captureOptions);
        return sabotage.harvest ? over(harvest, sabotage.harvest(harvest, mock)) : harvest;
      };
      return over(machine, { capture, ...sabotage.machine?.(machine, mock) });
    },
  });
}

/** Runs the suite until a test fails, and gives its name. */
async function failure(sabotage: Sabotage): Promise<string | undefined> {
  const tests: { name: string; body: () => Promise<void> }[] = [];
  const runner = {
    describe: (_name: string, body: () => void) => body(),
    it: (name: string, body: () => Promise<void>) => void tests.push({ name, body }),
  };
  hypervisorSuite(runner, {
    name: 'sabotaged',
    rounds: 3,
    async open() {
      const mock = new MockHypervisor();
      const guest = () => mock.machine('vm');
      return {
        hypervisor: sabotaged(mock, sabotage),
        location: 'vm?memory=1M&rate=30&disks=1&disk-size=1M',
        isRunning: async () => guest()?.paused !== true,
        mutate: async () => guest()?.run(),
        readMemory: async (gfn, count) => guest()?.read(gfn, count) ?? new Uint8Array(0),
        readDisk: async (_name, offset, length) =>
          guest()?.disks[0]?.read(offset, length) ?? new Uint8Array(0),
        kill: async () => guest()?.kill(),
        restoreTarget: async () => ({
          location: 'copy',
          async verify(memory) {
            const copy = mock.machine('copy');
            if (!copy || Buffer.compare(copy.read(0, copy.memory.pages), memory) !== 0)
              throw new Error('differs');
          },
        }),
      };
    },
  });
  for (const { name, body } of tests) {
    try {
      await body();
    } catch {
      return name;
    }
  }
  return undefined;
}

test('the suite passes an adapter that keeps the port', async () => {
  expect(await failure({})).toBeUndefined();
});

async function* butLast(disk: HarvestDisk): DiskExtents {
  let held: DiskExtent | undefined;
  for await (const extent of disk.read()) {
    if (held) yield held;
    held = extent;
  }
}

const busy = () => Promise.reject(new FitdocError('MACHINE_BUSY', 'always'));
const scratch = new Uint8Array(PAGE_SIZE);
const sabotages: Record<string, Sabotage> = {
  'loses the pages of one region': {
    sink: (sink) => ({ place: (gfn, count) => (gfn === 0 ? scratch : sink.place(gfn, count)) }),
  },
  'places pages one too far': { sink: (sink) => ({ place: (gfn, count) => sink.place(gfn + 1, count) }) },
  'says zero where there is something': {
    sink: (sink) => ({
      place: (gfn, count) => (sink.zero(gfn, 1), gfn > 0 ? sink.place(gfn, count) : scratch),
    }),
  },
  'forgets the dirty pages of a capture that fails': {
    machine: (machine, mock) => ({
      capture: async (sink, options) => {
        try {
          return await machine.capture(sink, options);
        } catch (error) {
          mock.machine('vm')?.memory.dirty.clearAll();
          throw error;
        }
      },
    }),
  },
  'leaves the guest paused': {
    harvest: (_harvest, mock) => (mock.machine('vm')?.pause(), {}),
  },
  'commits nothing': { harvest: () => ({ commit: async () => undefined }) },
  'calls every capture full': { harvest: () => ({ kind: 'full' }) },
  'calls every capture an increment': { harvest: () => ({ kind: 'increment' }) },
  'has no device state': { harvest: () => ({ deviceState: [] }) },
  'tells a pause that cannot be': { harvest: () => ({ pauseMs: 1e9 }) },
  'tells a time in the future': { harvest: () => ({ capturedAtMs: Date.now() + 60_000 }) },
  'is always busy': { machine: () => ({ capture: busy }) },
  'never hears of the end': { machine: () => ({ gone: new AbortController().signal }) },
  'ignores the signal': {
    machine: (machine) => ({ capture: (sink) => machine.capture(sink) }),
  },
  'ignores `full`': {
    machine: (machine) => ({ capture: (sink, { full: _full, ...rest } = {}) => machine.capture(sink, rest) }),
  },
  'detaches only once': {
    machine: (machine) => {
      let done = false;
      return { detach: async () => (done ? busy() : ((done = true), machine.detach())) };
    },
  },
  'does not detach': { machine: () => ({ detach: async () => undefined }) },
  'has capabilities that can be changed': { machine: ({ supports }) => ({ supports: { ...supports } }) },
  'claims that it takes no increments': {
    machine: ({ supports }) => ({ supports: Object.freeze({ ...supports, increments: false }) }),
  },
  'has a gap between its regions': {
    machine: ({ info }) => ({ info: { ...info, regions: info.regions.slice(1) } }),
  },
  'leaves out a block of a disk': {
    harvest: ({ disks = [] }) => ({ disks: disks.map((disk) => over(disk, { read: () => butLast(disk) })) }),
  },
  'brings no disks and says that it does': { harvest: () => ({ disks: [] }) },
  'calls every disk an increment': {
    harvest: ({ disks = [] }) => ({ disks: disks.map((disk) => over(disk, { kind: 'increment' })) }),
  },
  'takes every moment of a disk for the last': {
    machine: (machine) => ({
      capture: async (sink, options) => {
        const harvest = await machine.capture(sink, options);
        if (!options?.diskMoments) return harvest;
        const disks = (harvest.disks ?? []).map((disk) => over(disk, { kind: 'increment' }));
        return over(harvest, { disks });
      },
    }),
  },
  'forgets what was written to a disk when a harvest is rolled back': {
    harvest: (harvest, mock) => ({
      rollback: async () => {
        await harvest.rollback();
        mock.machine('vm')?.disks[0]?.takeDirty();
      },
    }),
  },
  'restores nothing': { restore: async () => undefined },
  'reads pages before it looks': {
    restore: async (mock, source, options) => {
      for await (const _page of source.pages(options)) break;
      await mock.restore('copy', source, options);
    },
  },
  'restores what does not fit': {
    restore: async (mock, source, options) => {
      const { shape } = mock.machine('vm')!;
      const info = { ...source.info, regions: mock.machine('vm')!.regions };
      await mock.restore('copy', { ...source, info }, { ...options, config: { memory: shape.memory } });
    },
  },
};

test.each(Object.entries(sabotages))('the suite fails an adapter that %s', async (_what, sabotage) => {
  expect(await failure(sabotage)).toBeDefined();
});
