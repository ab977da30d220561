import { isFitdocError } from '@fitdoc/interface';
import { describe, expect, test } from 'vitest';
import type { OracleSink } from './support.js';
import { attach, capture } from './support.js';

const code = (name: string) => expect.objectContaining({ code: name }) as Error;

/** The sink holds what the guest has now. */
function expectSame(sink: OracleSink, guest: { read(gfn: number, count: number): Uint8Array }): void {
  sink.expectPages(0, guest.read(0, sink.pages));
}

describe.each(['fail-harvest', 'fail-capture', 'fail-device', 'stray-page'])('%s', (fault) => {
  test('strikes every n-th capture, which loses nothing', async () => {
    const { machine, guest, sink } = await attach(`a?memory=8M&rate=80&${fault}=3`);
    const outcomes: string[] = [];
    for (let i = 0; i < 9; i++) {
      try {
        await capture(machine, sink);
        expectSame(sink, guest);
        outcomes.push('done');
      } catch (error) {
        outcomes.push(isFitdocError(error) ? error.code : String(error));
        expect(guest.paused).toBe(false);
      }
    }
    const failed = fault === 'stray-page' ? 'ARGUMENT_INVALID' : 'CAPTURE_FAILED';
    expect(outcomes).toEqual(['done', 'done', failed, 'done', 'done', failed, 'done', 'done', failed]);
    expect(machine.gone.aborted).toBe(false);
  });

  test('strikes the first capture, and the next is full', async () => {
    const { machine, guest, sink } = await attach('a?memory=8M&rate=80', { config: { [fault]: 1 } });
    await expect(capture(machine, sink)).rejects.toThrow();
    guest.faults = {};
    expect((await capture(machine, sink)).kind).toBe('full');
    expectSame(sink, guest);
  });
});

test('the machine dies in a pause', async () => {
  const { hypervisor, machine, sink } = await attach('a?memory=8M&die-at=2');
  await capture(machine, sink);
  await expect(capture(machine, sink)).rejects.toThrow(code('MACHINE_GONE'));
  expect(isFitdocError(machine.gone.reason, 'MACHINE_GONE')).toBe(true);
  await expect(capture(machine, sink)).rejects.toThrow(code('MACHINE_GONE'));
  await machine.detach();
  await expect(hypervisor.attach('a')).rejects.toThrow(code('MACHINE_NOT_FOUND'));
  hypervisor.forget('a');
  await (await hypervisor.attach('a?memory=8M')).detach();
});

test('a guest that cannot be resumed is reported as paused, and goes on once it is', async () => {
  const { machine, guest, sink } = await attach('a?memory=8M&rate=80&leave-paused=2');
  await capture(machine, sink);
  await expect(capture(machine, sink)).rejects.toThrow(code('MACHINE_PAUSED'));
  expect(guest.paused).toBe(true);
  await expect(capture(machine, sink)).rejects.toThrow(code('MACHINE_PAUSED'));
  guest.resume();
  await capture(machine, sink);
  expectSame(sink, guest);
});

test('a slow device lengthens the pause, a slow capture does not', async () => {
  const slow = await attach('a?memory=8M&slow-device=60ms');
  const first = await capture(slow.machine, slow.sink);
  expect(first.pauseMs).toBeGreaterThan(55);
  expect(first.pausePhases['device']).toBeGreaterThan(55);
  const late = await attach('a?memory=1M&slow-capture=300');
  const started = performance.now();
  const harvest = await capture(late.machine, late.sink);
  expect(performance.now() - started).toBeGreaterThan(290);
  expect(harvest.pauseMs).toBeLessThan(250);
});

test.each(['slow-device', 'slow-capture'])('%s is cancelled at once, and loses nothing', async (fault) => {
  const { machine, guest, sink } = await attach('a?memory=8M&rate=80');
  await capture(machine, sink);
  guest.faults = fault === 'slow-device' ? { slowDevice: 60_000 } : { slowCapture: 60_000 };
  const signal = AbortSignal.timeout(30);
  await expect(sink.capture(machine, { signal })).rejects.toThrow(code('ABORTED'));
  expect(guest.paused).toBe(false);
  guest.faults = {};
  await capture(machine, sink);
  expectSame(sink, guest);
});

test('a harvest is settled once', async () => {
  const { machine, sink } = await attach('a?memory=8M');
  const harvest = await sink.capture(machine);
  await harvest.commit();
  await expect(harvest.rollback()).rejects.toThrow(code('ARGUMENT_INVALID'));
});

test('one attachment at a time', async () => {
  const { hypervisor, machine } = await attach('a?memory=8M');
  await expect(hypervisor.attach('a')).rejects.toThrow(code('MACHINE_BUSY'));
  await machine.detach();
  const again = await hypervisor.attach('mock:a');
  await again.detach();
});

test('writable disks must be agreed to', async () => {
  const { machine } = await attach('a?memory=8M&disks=2', { disks: 'external' });
  expect(machine.info.disks.map(({ writable }) => writable)).toEqual([true, true]);
  expect(machine.supports.disks).toBeUndefined();
  const refusing = attach('b?memory=8M&disks=2', { disks: 'refuse' });
  await expect(refusing).rejects.toThrow(code('MACHINE_HAS_DISKS'));
});

test('disks are brought unless they are left out by name', async () => {
  const { machine, sink } = await attach('a?memory=8M&disks=3&disk-size=1M', { leaveOutDisks: ['disk1'] });
  expect(machine.supports.disks).toBe(true);
  expect(machine.info.disks.map(({ leftOut }) => leftOut)).toEqual([undefined, true, undefined]);
  const harvest = await sink.capture(machine);
  expect(harvest.disks?.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
    ['disk0', 2 ** 20],
    ['disk2', 2 ** 20],
  ]);
  await harvest.rollback();
  const all = { disks: 'refuse', leaveOutDisks: ['disk0', 'disk1', 'disk2'] } as const;
  expect((await attach('b?memory=8M&disks=3', all)).machine.supports.disks).toBeUndefined();
  await expect(attach('c?disks=1', { leaveOutDisks: ['vda'] })).rejects.toThrow(code('ARGUMENT_INVALID'));
});

test('disks that are lost while they are read come again with the next capture', async () => {
  const { machine, guest, sink } = await attach('a?memory=8M&disks=1&disk-size=1M&fail-disk=2&steps=0');
  await (await sink.capture(machine)).commit();
  guest.disks[0]?.write(5000, Uint8Array.of(1, 2, 3));
  const read = async (): Promise<number[]> => {
    const harvest = await sink.capture(machine);
    try {
      const offsets: number[] = [];
      for await (const { offset } of harvest.disks![0]!.read()) offsets.push(offset);
      await harvest.commit();
      return offsets;
    } catch (error) {
      await harvest.rollback();
      throw error;
    }
  };
  await expect(read()).rejects.toThrow(code('CAPTURE_FAILED'));
  expect(await read()).toEqual([4096]);
});

test('a disk that became smaller is brought in full', async () => {
  const { machine, guest, sink } = await attach('a?memory=8M&disks=1&disk-size=1M&steps=0');
  await (await sink.capture(machine)).commit();
  guest.disks[0]?.resize(2 ** 19);
  const harvest = await sink.capture(machine);
  expect(harvest.disks).toMatchObject([{ kind: 'full', sizeBytes: 2 ** 19 }]);
  await harvest.commit();
  guest.disks[0]?.resize(2 ** 20);
  expect((await sink.capture(machine)).disks).toMatchObject([{ kind: 'increment', sizeBytes: 2 ** 20 }]);
});

test('a machine with a tick lives while nobody captures', async () => {
  const { machine, guest } = await attach('a?memory=8M&tick=5ms&steps=0');
  const { step } = guest;
  await new Promise((resolve) => setTimeout(resolve, 120));
  expect(guest.step).toBeGreaterThan(step);
  await machine.detach();
  const stopped = guest.step;
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(guest.step).toBe(stopped);
});

test('a guest that its operator stopped is named and left, and goes on where it was', async () => {
  const { machine, guest, sink } = await attach('a?memory=8M&rate=80&stop-after=2');
  await capture(machine, sink);
  await capture(machine, sink);
  await expect(capture(machine, sink)).rejects.toThrow(code('MACHINE_NOT_RUNNING'));
  const { step } = guest;
  guest.run(5);
  expect(guest.step).toBe(step);
  expect(await machine.standing?.()).toMatchObject({ details: { state: 'paused' } });
  guest.goOn();
  expect(await machine.standing?.()).toBeUndefined();
  expect((await capture(machine, sink)).kind).toBe('increment');
  expectSame(sink, guest);
  guest.stand('suspended');
  await machine.detach();
  expect(guest.standing).toBe('suspended');
});

test('a guest that powers off has ended, which is no failure', async () => {
  const { machine, sink } = await attach('a?memory=8M&power-off=1');
  await capture(machine, sink);
  expect(machine.gone.reason).toMatchObject({ code: 'MACHINE_GONE', details: { ended: true } });
});
