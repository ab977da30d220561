import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import {
  FitdocError,
  isFitdocError,
  PAGE_SIZE,
  totalPages,
  type CaptureOptions,
  type PageSink,
} from '@fitdoc/interface';
import { DirectMachine } from '../src/direct/direct-machine.js';
import type { DeviceModel } from '../src/direct/devices/device-model.js';
import type { DomainGuard } from '../src/direct/guard/guard-client.js';
import { parseGuestConfig } from '../src/memory/guest-config.js';
import { regionsFor } from '../src/memory/pfn-space.js';
import { FakeDomain } from './fake-domain.js';
import { config, PlainMemory } from './streams.js';

const PAGES = 4096;
const KIB = PAGES * 4;

class FakeGuard {
  readonly words: string[] = [];
  arm = async () => void this.words.push('arm');
  disarm = async () => void this.words.push('disarm');
  forget = async () => void this.words.push('forget');
}

let machine: DirectMachine | undefined;
afterEach(() => machine?.detach());

/** A device model that works beside a domain, and tells of itself among the domain's calls. */
class FakeDevices {
  failing = '';
  constructor(private readonly domain: FakeDomain) {}
  logWrites = (enable: boolean) => this.#call(`log ${enable}`);
  reach = async () => this.#call('reach');
  stopAndSave = () => {
    // What was still under way reaches the guest's memory.
    this.domain.write(77, 77);
    this.#call('stop');
  };
  goOn = () => this.#call('go on');
  takeState = () => {
    this.#call('take');
    return new Uint8Array(16);
  };
  close = () => {};

  #call(name: string): void {
    this.domain.calls.push(`devices: ${name}`);
    if (this.failing === name) throw new FitdocError('CAPTURE_FAILED', `The device model could not ${name}.`);
  }
}

function attached({ hvm = false, videoKiB = 0 } = {}) {
  const domain = new FakeDomain(PAGES);
  const guard = new FakeGuard();
  const devices = new FakeDevices(domain);
  const regions = regionsFor({ guestType: hvm ? 'hvm' : 'pvh', maxMemoryKiB: KIB, videoKiB });
  machine = new DirectMachine({
    control: domain.control,
    guard: guard as unknown as DomainGuard,
    ...(hvm && { devices: devices as unknown as DeviceModel }),
    info: {
      ...{ id: 'guest', name: 'guest', hypervisor: 'xen 4.17', scheme: 'xen', architecture: 'x86_64' },
      ...{ regions, platform: {}, disks: [] },
    },
    configText: config(hvm ? 'hvm' : 'pvh', KIB, KIB, videoKiB),
    xen: { major: 4, minor: 17 },
    suspendTimeoutMs: 300,
    pauseLimitMs: 5000,
    limits: [],
    release: () => {},
  });
  const memory: PlainMemory & Pick<PageSink, 'prepare'> = new PlainMemory(totalPages(regions));
  const taken = machine;
  const capture = async (options: CaptureOptions = {}) => {
    const harvest = await taken.capture(memory, options);
    await harvest.commit();
    return harvest;
  };
  const differing = () =>
    Array.from({ length: PAGES }, (_, pfn) => pfn).filter(
      (pfn) => memory.bytes[pfn * PAGE_SIZE + 9] !== domain.memory[pfn * PAGE_SIZE + 9],
    );
  return { domain, guard, devices, memory, machine: taken, capture, differing };
}

async function failure(promise: Promise<unknown>): Promise<{ code: string; details: object }> {
  try {
    await promise;
  } catch (error) {
    if (isFitdocError(error)) return { code: error.code, details: error.details };
    throw error;
  }
  throw new Error('It succeeded.');
}

describe('the pause of the dirty log', () => {
  it('has hypercalls and one copy in it, and nothing that can wait', async () => {
    const { domain, capture, differing } = attached();
    domain.suspendWrites = [5, 6, 900];
    expect((await capture()).kind).toBe('full');
    for (let pfn = 100; pfn < 400; pfn += 2) domain.write(pfn, pfn % 251);
    const harvest = await capture();
    expect(harvest.kind).toBe('increment');
    expect(new Set(domain.inPause())).toEqual(
      new Set(['tsc', 'context', 'parameter', 'harvest', 'map', 'resume']),
    );
    expect(domain.inPause().filter((each) => each === 'context')).toHaveLength(1);
    // Nothing lies between: its end is told to nobody before that.
    expect(domain.calls.slice(-3)).toEqual(['resume', 'announce', 'unmap']);
    expect(domain.mapped).toBe(0);
    expect(differing()).toEqual([]);
    const { request, ...inside } = harvest.pausePhases;
    expect(request).toBeGreaterThanOrEqual(0);
    const sum = Object.values(inside).reduce((total, each) => total + each, 0);
    expect(sum).toBeCloseTo(harvest.pauseMs, 6);
  });

  it('begins when the guest stood, not when it was last looked at', async () => {
    const { domain, capture } = attached();
    await capture();
    domain.runsOn = 1e6;
    const { pauseMs, pausePhases } = await capture();
    // It ran until it was seen to stand.
    expect(pausePhases['notice']).toBeLessThan(1);
    expect(pauseMs).toBeLessThan(1000);
    expect(pausePhases['request']).toBeGreaterThan(0);
  });

  it('finds few pages left of many: they were copied while the guest ran', async () => {
    const { domain, capture, differing } = attached();
    domain.suspendWrites = [1, 2];
    await capture();
    for (let pfn = 0; pfn < 3000; pfn++) domain.write(pfn, 7);
    let passes = 0;
    // The guest goes on writing while it is copied.
    domain.onHarvest = () => {
      if (passes++ === 0) setTimeout(() => domain.write(42, 8), 0);
    };
    await capture();
    expect(passes).toBe(2);
    expect(domain.inPause().filter((each) => each === 'map')).toHaveLength(1);
    expect(differing()).toEqual([]);
  });

  it('holds more pages than it has room for', async () => {
    const { domain, capture, differing } = attached();
    domain.suspendWrites = Array.from({ length: 4000 }, (_, pfn) => pfn);
    await capture();
    expect(differing()).toEqual([]);
  });

  it('lasts as long as what is asked of it, which runs beside the copy', async () => {
    const { domain, devices, machine, capture, differing } = attached({ hvm: true });
    await capture();
    for (let pfn = 100; pfn < 400; pfn++) domain.write(pfn, pfn % 251);
    const run = async (): Promise<void> => {
      domain.calls.push('task');
      expect(domain.suspended).toBe(true);
      expect(await machine.standing()).toBeUndefined();
      await sleep(20);
      expect(domain.suspended).toBe(true);
      domain.calls.push('task done');
    };
    const harvest = await capture({ pauseTask: { timeoutMs: 1000, run } });
    const inPause = domain.inPause();
    expect(inPause.slice(0, 2)).toEqual(['devices: stop', 'task']);
    expect(inPause.slice(-3)).toEqual(['task done', 'devices: go on', 'resume']);
    expect(inPause).toContain('map');
    expect(harvest.pausePhases['task']).toBeGreaterThan(0);
    const { request: _, ...inside } = harvest.pausePhases;
    expect(Object.values(inside).reduce((sum, each) => sum + each, 0)).toBeCloseTo(harvest.pauseMs, 6);
    expect(differing()).toEqual([]);
    devices.failing = 'stop';
    await failure(capture({ pauseTask: { timeoutMs: 1000, run: () => Promise.reject(new Error('ran')) } }));
    expect(domain.suspended).toBe(false);
  });

  it('is refused a task that the guard would cut short', async () => {
    const { domain, capture } = attached();
    await capture();
    const before = domain.calls.length;
    const pauseTask = { timeoutMs: 5000, run: async () => {} };
    expect(await failure(capture({ pauseTask }))).toMatchObject({ code: 'ARGUMENT_INVALID' });
    expect(domain.calls.length).toBe(before);
  });

  it('begins when there is room for what it brings: pages come while the guest runs until there is', async () => {
    const { domain, memory, capture, differing } = attached();
    const asked: number[] = [];
    memory.prepare = async (pages) => {
      asked.push(pages);
      expect(domain.suspended).toBe(false);
      return asked.length > 2;
    };
    // Few enough that no pass over them pays for itself, and more than are held with those of a suspend.
    domain.suspendWrites = Array.from({ length: 4000 }, (_, pfn) => pfn);
    await capture();
    expect(asked).toEqual([]);
    domain.write(50, 5);
    let passes = 0;
    domain.onHarvest = () => passes++;
    expect((await capture()).kind).toBe('increment');
    expect(asked).toHaveLength(3);
    expect(asked[0]).toBeGreaterThan(900);
    // Two for want of room, one in the pause.
    expect(passes).toBe(3);
    expect(differing()).toEqual([]);
  });

  it('does not begin when there is no room for what it brings', async () => {
    const { domain, memory, capture, differing } = attached();
    domain.suspendWrites = Array.from({ length: 4000 }, (_, pfn) => pfn);
    await capture();
    memory.prepare = async () => false;
    domain.calls.length = 0;
    expect((await failure(capture())).code).toBe('MEMORY_BUDGET');
    expect(domain.calls).not.toContain('stands');
    memory.prepare = async () => true;
    domain.write(11, 4);
    expect((await capture()).kind).toBe('increment');
    expect(differing()).toEqual([]);
  });

  it('is put off, refused or exceeded as its budget says', async () => {
    const { domain, capture, differing } = attached();
    for (let round = 0; round < 3; round++) await capture();
    const budget = { maxMs: 0.0001, waitMs: 30 };
    expect(await failure(capture({ pauseBudget: { ...budget, otherwise: 'refuse' } }))).toMatchObject({
      code: 'MACHINE_BUSY',
      details: { pauseBudget: true },
    });
    domain.write(9, 9);
    const over = await capture({ pauseBudget: { ...budget, otherwise: 'exceed' } });
    expect(over.pauseBudget).toMatchObject({ kept: false, maxMs: budget.maxMs });
    expect(over.pauseBudget!.waitedMs).toBeGreaterThanOrEqual(budget.waitMs);
    const kept = await capture({ pauseBudget: { maxMs: 60_000, waitMs: 30, otherwise: 'refuse' } });
    expect(kept.pauseBudget).toMatchObject({ kept: true });
    expect(kept.pauseBudget!.estimatedMs).toBeGreaterThan(0);
    expect(differing()).toEqual([]);
  });

  it('loses nothing when a sink fails behind it', async () => {
    const { domain, machine: taken, capture, differing } = attached();
    await capture();
    domain.write(11, 3);
    const memory = new PlainMemory(totalPages(taken.info.regions));
    memory.place = () => {
      throw new Error('no room');
    };
    expect((await failure(taken.capture(memory))).code).toBe('CAPTURE_FAILED');
    expect(domain.suspended).toBe(false);
    expect(domain.mapped).toBe(0);
    expect((await capture()).kind).toBe('increment');
    expect(differing()).toEqual([]);
  });
});

describe('a guest with a device model', () => {
  it('has its devices stopped before the last log is read, and let go before its vCPUs', async () => {
    const { domain, capture, differing } = attached({ hvm: true });
    const harvest = await capture();
    expect(domain.calls.indexOf('devices: log true')).toBeLessThan(domain.calls.indexOf('map'));
    const order = domain.inPause().filter((each) => !['tsc', 'context', 'parameter'].includes(each));
    expect(order).toEqual(['devices: stop', 'harvest', 'map', 'devices: go on', 'resume']);
    expect(domain.calls.indexOf('devices: take')).toBeGreaterThan(domain.calls.indexOf('resume'));
    expect(differing()).toEqual([]);
    expect(harvest.deviceState.some((each) => each.name.endsWith('emulator-context'))).toBe(true);
    expect(harvest.pausePhases).toHaveProperty('device');
  });

  it('is not captured without the log of its devices', async () => {
    const { domain, devices, capture } = attached({ hvm: true });
    devices.failing = 'log true';
    expect((await failure(capture())).code).toBe('CAPTURE_FAILED');
    expect(domain.calls).not.toContain('map');
    expect(domain.calls).not.toContain('stands');
    devices.failing = '';
    expect((await capture()).kind).toBe('full');
  });

  it.each(['stop', 'take', 'reach'])('goes on when its devices do not %s', async (what) => {
    const { domain, devices, capture, differing } = attached({ hvm: true });
    await capture();
    domain.write(12, 1);
    devices.failing = what;
    expect((await failure(capture())).code).toBe('CAPTURE_FAILED');
    expect(domain.suspended).toBe(false);
    expect(domain.calls.indexOf('devices: go on')).toBeGreaterThan(0);
    devices.failing = '';
    const harvest = await capture();
    expect(harvest.kind).toBe('increment');
    expect(harvest.deviceState.filter((each) => each.name.endsWith('hvm-context'))).toHaveLength(1);
    expect(differing()).toEqual([]);
  });

  it('is left to the guard when its devices do not go on', async () => {
    const { domain, devices, guard, capture } = attached({ hvm: true });
    await capture();
    devices.failing = 'go on';
    expect((await failure(capture())).code).toBe('MACHINE_PAUSED');
    expect(domain.suspended).toBe(true);
    expect(guard.words.at(-1)).toBe('arm');
  });
});

it('records the memory that the guest has by now, that of its screen included', async () => {
  const { domain, capture } = attached({ hvm: true, videoKiB: 1024 });
  domain.targetKiB = KIB - 4096;
  const { deviceState } = await capture();
  const text = new TextDecoder().decode(deviceState.find((each) => each.name === 'xen/config')!.bytes);
  expect(parseGuestConfig(text).memoryKiB).toBe(KIB - 4096 + 1024);
});

it('leaves no log on at the detach, though no capture has succeeded', async () => {
  const { domain, devices, machine: taken, capture } = attached({ hvm: true });
  devices.failing = 'stop';
  expect((await failure(capture())).code).toBe('CAPTURE_FAILED');
  expect(domain.log).toBe(true);
  await taken.detach();
  expect(domain.log).toBe(false);
  expect(domain.calls.at(-1)).toBe('devices: log false');
});

describe('a guest that stands by its operator’s doing or its own', () => {
  it('is left so, and named: paused', async () => {
    const { domain, guard, machine: taken, capture } = attached();
    await capture();
    domain.paused = true;
    expect(await failure(capture())).toMatchObject({
      code: 'MACHINE_NOT_RUNNING',
      details: { state: 'paused' },
    });
    expect(await taken.standing()).toMatchObject({ details: { state: 'paused' } });
    expect(guard.words.at(-1)).toBe('disarm');
    domain.paused = false;
    expect(await taken.standing()).toBeUndefined();
    expect((await capture()).kind).toBe('increment');
  });

  it('paused after it was asked: the request is taken back, or the guard stays', async () => {
    const { domain, guard, capture } = attached();
    await capture();
    domain.onRequest = () => {
      domain.paused = true;
      return false;
    };
    expect(await failure(capture())).toMatchObject({ details: { state: 'paused' } });
    expect(domain.readStore('control/shutdown')).toBe('');
    expect(domain.suspended).toBe(false);
    expect(guard.words.at(-1)).toBe('arm');
    domain.paused = false;
    domain.onRequest = () => true;
    expect((await capture()).kind).toBe('increment');
    expect(guard.words.at(-1)).toBe('disarm');
  });

  it('suspended by somebody else', async () => {
    const { domain, capture } = attached();
    await capture();
    domain.suspended = true;
    expect(await failure(capture())).toMatchObject({ details: { state: 'suspended' } });
    expect(domain.suspended).toBe(true);
  });

  it.each([
    ['crashed', (domain: FakeDomain) => (domain.crashed = true), { state: 'crashed' }],
    ['shutdown', (domain: FakeDomain) => (domain.poweredOff = true), { state: 'shutdown', ended: true }],
  ])('%s', async (_state, make, details) => {
    const { domain, machine: taken, capture } = attached();
    await capture();
    make(domain);
    expect(await failure(capture())).toEqual({ code: 'MACHINE_GONE', details });
    expect(taken.gone.aborted).toBe(true);
  });

  it('takes all of the memory again when somebody turned the log off in between', async () => {
    const { domain, capture, differing } = attached();
    await capture();
    domain.write(3, 1);
    domain.stopLog();
    domain.write(4, 1);
    expect((await capture()).kind).toBe('full');
    expect(differing()).toEqual([]);
    expect((await capture()).kind).toBe('increment');
  });
});
