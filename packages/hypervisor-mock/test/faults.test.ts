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
  await expect(attach('b?memory=8M&disks=2')).rejects.toThrow(code('MACHINE_HAS_DISKS'));
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
