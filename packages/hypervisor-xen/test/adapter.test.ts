import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { isFitdocError, PAGE_SIZE, totalPages, type ErrorCode, type Machine } from '@fitdoc/interface';
import { hypervisor, hypervisorSsh, readXenStream } from '../src/index.js';
import { FakeXl } from './fake-xl.js';
import { checkpointTail, chunked, pageRecord, PlainMemory, streamHead, type Page } from './streams.js';

const KIB = 4096 * 4;
const page = (pfn: number, value: number): Page => ({
  pfn,
  type: 0,
  bytes: new Uint8Array(PAGE_SIZE).fill(value),
});

/** The base and two increments; the second increment also gives page 3 back to the host. */
const parts = [
  Buffer.concat([streamHead('pvh', KIB), pageRecord([page(1, 1), page(3, 3)]), checkpointTail(1, false)]),
  Buffer.concat([pageRecord([page(2, 2)]), checkpointTail(2, false)]),
  Buffer.concat([pageRecord([page(1, 9), { pfn: 3, type: 0xf }]), checkpointTail(3, false)]),
];

let xl: FakeXl | undefined;
afterEach(() => xl?.close());

async function code(promise: Promise<unknown>): Promise<ErrorCode | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (isFitdocError(error)) return error.code;
    throw error;
  }
}

async function attached(): Promise<{
  machine: Machine;
  memory: PlainMemory;
  value: (pfn: number) => number;
}> {
  const machine = await hypervisor.attach('guest', { config: { path: 'remus', pauseLimitSeconds: 3 } });
  const memory = new PlainMemory(totalPages(machine.info.regions));
  return { machine, memory, value: (pfn) => memory.bytes[pfn * PAGE_SIZE + 5]! };
}

const state = (fake: FakeXl) => readFileSync(join(fake.folder, 'state'), 'utf8').trim();

describe('captures by Remus', () => {
  it('takes one checkpoint a capture', async () => {
    xl = new FakeXl('pvh', parts, KIB);
    const { machine, memory, value } = await attached();
    const kinds: string[] = [];
    const seen: number[][] = [];
    for (let index = 0; index < 3; index++) {
      const harvest = await machine.capture(memory);
      await harvest.commit();
      kinds.push(harvest.kind);
      seen.push([value(1), value(2), value(3)]);
      expect(harvest.deviceState.find((each) => each.name.endsWith('hvm-context'))?.bytes[0]).toBe(index + 1);
    }
    expect(kinds).toEqual(['full', 'increment', 'increment']);
    expect(seen).toEqual([
      [1, 0, 3],
      [1, 2, 3],
      [9, 2, 0],
    ]);
    await machine.detach();
    expect(state(xl)).toBe('-b----');
  });

  it('starts anew, with all of the memory, when the stream has ended', async () => {
    xl = new FakeXl('pvh', parts.slice(0, 1), KIB);
    xl.write('then-die', '');
    const { machine, memory } = await attached();
    await (await machine.capture(memory)).commit();
    expect(await code(machine.capture(memory))).toBe('CAPTURE_FAILED');
    const again = await machine.capture(memory);
    expect(again.kind).toBe('full');
    await again.rollback();
    await machine.detach();
    expect(readFileSync(join(xl.folder, 'calls'), 'utf8')).toBe('remus\nremus\n');
  });

  it('starts anew, so that pages come while the guest runs, when there is no room for those of a pause', async () => {
    xl = new FakeXl('pvh', parts, KIB);
    const { machine, memory, value } = await attached();
    const asked: number[] = [];
    const sink = Object.assign(memory, {
      prepare: async (pages: number) => asked.push(pages) !== 2,
    });
    const kinds: string[] = [];
    for (let index = 0; index < 4; index++) {
      const harvest = await machine.capture(sink);
      await harvest.commit();
      kinds.push(harvest.kind);
      if (index === 2) expect(harvest.notes.join()).toMatch(/no memory for what the pause/);
    }
    expect(kinds).toEqual(['full', 'increment', 'full', 'increment']);
    expect(asked).toHaveLength(3);
    expect([value(1), value(2), value(3)]).toEqual([1, 2, 3]);
    await machine.detach();
    expect(readFileSync(join(xl.folder, 'calls'), 'utf8')).toBe('remus\nremus\n');
  });

  it('an abort ends the sender and leaves the guest running', async () => {
    xl = new FakeXl('pvh', parts.slice(0, 1), KIB);
    const { machine, memory } = await attached();
    await (await machine.capture(memory)).commit();
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 100);
    expect(await code(machine.capture(memory, { signal: stop.signal }))).toBe('ABORTED');
    expect(state(xl)).toBe('-b----');
    await machine.detach();
    expect(await code(machine.capture(memory))).toBe('MACHINE_BUSY');
  });

  it('a sink that fails fails the capture, not the guest', async () => {
    xl = new FakeXl('pvh', parts, KIB);
    const { machine, memory } = await attached();
    const place = memory.place.bind(memory);
    memory.place = () => {
      throw new Error('no room');
    };
    expect(await code(machine.capture(memory))).toBe('CAPTURE_FAILED');
    expect(state(xl)).toBe('-b----');
    memory.place = place;
    const harvest = await machine.capture(memory);
    expect(harvest.kind).toBe('full');
    expect(await code(machine.capture(memory))).toBe('MACHINE_BUSY');
    await machine.detach();
  });

  it('a pause in which nothing comes is ended', async () => {
    xl = new FakeXl('pvh', parts, KIB);
    xl.write('stuck1', '');
    const { machine, memory } = await attached();
    await (await machine.capture(memory)).commit();
    expect(await code(machine.capture(memory))).toBe('CAPTURE_FAILED');
    expect(state(xl)).toBe('-b----');
    await machine.detach();
  });

  it('tells that the domain is gone', async () => {
    xl = new FakeXl('pvh', parts.slice(0, 1), KIB);
    xl.write('then-die', '');
    const { machine, memory } = await attached();
    await (await machine.capture(memory)).commit();
    xl.write('gone', '');
    expect(await code(machine.capture(memory))).toBe('MACHINE_GONE');
    expect(isFitdocError(machine.gone.reason, 'MACHINE_GONE')).toBe(true);
    await machine.detach();
  });

  it.each(['crashes', 'goes'])('tells between two captures that the domain %s', async (how) => {
    xl = new FakeXl('pvh', parts.slice(0, 1), KIB);
    const { machine, memory } = await attached();
    await (await machine.capture(memory)).commit();
    const gone = once(machine.gone, 'abort');
    xl.write(how === 'goes' ? 'gone' : 'crashed', '');
    await gone;
    expect(isFitdocError(machine.gone.reason, 'MACHINE_GONE')).toBe(true);
    await machine.detach();
  });

  it('takes a host that does not answer for no proof that the domain is gone', async () => {
    xl = new FakeXl('pvh', parts.slice(0, 1), KIB);
    xl.write('then-die', '');
    const { machine, memory } = await attached();
    await (await machine.capture(memory)).commit();
    xl.write('unreachable', '');
    expect(await code(machine.capture(memory))).toBe('CAPTURE_FAILED');
    expect(machine.gone.aborted).toBe(false);
    await machine.detach();
  });
});

describe('what is checked first', () => {
  it.each(['', 'a b', '-x', '../x'])('the location %j', async (location) => {
    expect(await code(hypervisor.attach(location))).toBe('LOCATION_INVALID');
  });

  it.each(['guest', '//host', '//host/', '//a b/guest', '//-oProxyCommand=x/guest'])(
    '%j',
    async (location) => {
      expect(await code(hypervisorSsh.attach(location))).toBe('LOCATION_INVALID');
    },
  );

  it('the domain, its disks and the settings', async () => {
    const disks = [{ vdev: 'xvda', pdev_path: '/dev/vg/guest', format: 'raw', readwrite: 1 }];
    xl = new FakeXl('pvh', parts, KIB, disks);
    expect(await code(hypervisor.attach('other'))).toBe('MACHINE_NOT_FOUND');
    expect(await code(hypervisor.attach('guest'))).toBe('MACHINE_HAS_DISKS');
    expect(await code(hypervisor.attach('guest', { config: { path: 'none' } }))).toBe('ARGUMENT_INVALID');
    const machine = await hypervisor.attach('guest', { disks: 'external', config: { path: 'remus' } });
    expect(machine.info.disks).toMatchObject([{ name: 'xvda', writable: true, source: '/dev/vg/guest' }]);
    await machine.detach();
  });

  it.each([
    ['--p---', 'paused'],
    ['---sc-', 'crashed'],
    ['---s--', 'shutdown'],
  ])('that the guest runs: %s is %s, and is left so', async (flags, state) => {
    xl = new FakeXl('pvh', parts, KIB);
    xl.write('state', `${flags}\n`);
    await expect(hypervisor.attach('guest')).rejects.toMatchObject({
      code: 'MACHINE_NOT_RUNNING',
      details: { state },
    });
    xl.write('state', '-b----\n');
    await (await hypervisor.attach('guest', { config: { path: 'remus' } })).detach();
  });

  it('that a PV guest cannot have increments on a Xen without shadow paging', async () => {
    const whole = [Buffer.concat([streamHead('pv', KIB), pageRecord([page(1, 1)]), checkpointTail(1, true)])];
    xl = new FakeXl('pv', whole, KIB);
    expect(await code(hypervisor.attach('guest', { config: { path: 'remus' } }))).toBe('CAPABILITY_MISSING');
    const machine = await hypervisor.attach('guest');
    expect(machine.supports.increments).toBe(false);
    expect(machine.supports.limits.join(' ')).toContain('shadow paging');
    const memory = new PlainMemory(totalPages(machine.info.regions));
    for (let index = 0; index < 2; index++) {
      const harvest = await machine.capture(memory);
      expect(harvest.kind).toBe('full');
      await harvest.commit();
    }
    await machine.detach();
  });
});

describe('restores', () => {
  async function captured() {
    xl = new FakeXl('pvh', parts, KIB);
    const { machine, memory } = await attached();
    const harvest = await machine.capture(memory);
    await machine.detach();
    const pages = async function* () {
      yield { gfn: 0, bytes: memory.bytes };
    };
    return { fake: xl, source: { info: machine.info, deviceState: harvest.deviceState, pages } };
  }

  async function nameIn(path: string): Promise<string> {
    const memory = new PlainMemory(30_000);
    const content = await readXenStream(
      chunked(readFileSync(path), () => 4096),
      { sink: () => memory },
    );
    expect(memory.bytes[3 * PAGE_SIZE]).toBe(3);
    return content.config.name;
  }

  it('through xl restore, under another name', async () => {
    const { fake, source } = await captured();
    const report = await hypervisor.restore('copy', source);
    expect(report).toMatchObject({ state: 'running', pages: 2 });
    expect(await nameIn(join(fake.folder, 'restored'))).toBe('copy');
    expect(await code(hypervisor.restore('guest', source))).toBe('MACHINE_INCOMPATIBLE');
  });

  it('into a file, which appears complete or not at all', async () => {
    const { fake, source } = await captured();
    const path = join(fake.folder, 'guest.xen');
    expect(await hypervisor.restore(`file:${path}`, source)).toMatchObject({ state: 'written' });
    expect(await nameIn(path)).toBe('guest');
    const copy = { config: { name: 'copy' } };
    expect(await code(hypervisor.restore(`file:${path}`, source, copy))).toBe('ARGUMENT_INVALID');
    expect(await nameIn(path)).toBe('guest');
    await hypervisor.restore(`file:${path}`, source, { ...copy, replace: true });
    expect(await nameIn(path)).toBe('copy');
    const broken = {
      ...source,
      pages: async function* () {
        yield await Promise.reject<never>(new Error('damaged'));
      },
    };
    const other = join(fake.folder, 'other.xen');
    expect(await code(hypervisor.restore(other, broken))).toBe('RESTORE_FAILED');
    expect(existsSync(other)).toBe(false);
    expect(existsSync(`${other}.partial`)).toBe(false);
  });

  it('only of what a Xen domain was', async () => {
    const { source } = await captured();
    const { info } = source;
    const larger = { ...info, regions: info.regions.map((each) => ({ ...each, pages: each.pages + 1 })) };
    expect(await code(hypervisor.restore('copy', { ...source, info: larger }))).toBe('MACHINE_INCOMPATIBLE');
    const foreign = { ...source, deviceState: [{ name: 'ram', bytes: new Uint8Array(4) }] };
    expect(await code(hypervisor.restore('copy', foreign))).toBe('MACHINE_INCOMPATIBLE');
  });
});
