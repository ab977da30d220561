import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import { Session } from '../src/session/session.js';
import {
  bareMetal,
  beatsMore,
  boot,
  Protected,
  proveRestored,
  readHeartbeats,
  settings,
  stopGuests,
  type TestGuest,
  withoutKvm,
  withoutQemu,
} from './support/real.js';
import { hold, type Holder } from './support/holder.js';
import { POWER_OFF, powerManagement, SUSPEND } from './support/power.js';

afterEach(stopGuests);
const standing = (state: string) =>
  expect.objectContaining({
    code: 'MACHINE_NOT_RUNNING',
    details: expect.objectContaining({ state }) as unknown,
  }) as unknown;

async function status(guest: TestGuest): Promise<string> {
  return (await guest.monitor.execute<{ status: string }>('query-status')).status;
}

async function attachTo(guest: TestGuest, captures = 2) {
  const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
  const protection = new Protected(machine);
  for (let i = 0; i < captures; i++) await protection.capture();
  return { machine, protection };
}

async function migration(guest: TestGuest): Promise<string | undefined> {
  return (await guest.monitor.execute<{ status?: string }>('query-migrate')).status;
}

/** Whether QEMU's capability `events`, which every attachment turns on, is on. */
async function events(guest: TestGuest): Promise<boolean | undefined> {
  const found = await guest.monitor.execute<{ capability: string; state: boolean }[]>(
    'query-migrate-capabilities',
  );
  return found.find(({ capability }) => capability === 'events')?.state;
}

/** Kills an attached process and its guard so that neither can see to the other. */
async function killBoth(holder: Holder): Promise<void> {
  holder.child.kill('SIGSTOP');
  process.kill(holder.guardPid, 'SIGKILL');
  await holder.kill();
}

/** That the guest stands: no beat in a while, and QEMU calls it so. */
async function stands(guest: TestGuest, state = 'paused'): Promise<void> {
  expect(await status(guest)).toBe(state);
  await sleep(100);
  const before = (await readHeartbeats(guest.serialPath)).length;
  await sleep(900);
  expect((await readHeartbeats(guest.serialPath)).length).toBe(before);
  expect(await status(guest)).toBe(state);
}

describe.skipIf(withoutQemu)('a guest that its operator stopped', () => {
  test('is left so, and goes on with an increment', async () => {
    const guest = await boot(bareMetal());
    const { machine, protection } = await attachTo(guest);
    await guest.monitor.execute('stop');
    for (let i = 0; i < 3; i++) await expect(protection.capture()).rejects.toEqual(standing('paused'));
    expect(await machine.standing!()).toEqual(standing('paused'));
    await stands(guest);
    await guest.monitor.execute('cont');
    expect(await machine.standing!()).toBeUndefined();
    await beatsMore(guest);
    expect((await protection.capture()).kind).toBe('increment');
    const kept = await protection.keep();
    await machine.detach();
    await proveRestored(guest, kept);
  }, 300_000);

  test('stays so when we let go of it, and is then anybody’s', async () => {
    const guest = await boot(bareMetal());
    const { machine } = await attachTo(guest);
    await guest.monitor.execute('stop');
    const notes: string[] = [];
    await machine.detach({ onNote: (text) => notes.push(text) });
    expect(notes).toEqual([expect.stringMatching(/ran for \d+\.\d\d ms and was stopped again/)]);
    process.stderr.write(`${notes[0]}\n`);
    await stands(guest);
    await guest.monitor.execute('cont');
    await beatsMore(guest);
  }, 300_000);

  test.each(['kill -9', 'kill -9 of the guard too'])(
    'stays so through %s, and the next attach names it',
    async (what) => {
      const guest = await boot(bareMetal());
      const holder = await hold(guest);
      await guest.monitor.execute('stop');
      await holder.ask('capture');
      if (what !== 'kill -9') await killBoth(holder);
      else await holder.kill();
      // The guard, where there is one, has its turn meanwhile.
      await sleep(1500);
      await stands(guest);
      await expect(hypervisor.attach(guest.qmpPath, { config: settings(guest) })).rejects.toEqual(
        standing('paused'),
      );
      await stands(guest);
      await guest.monitor.execute('cont');
      await (await attachTo(guest)).machine.detach();
      await beatsMore(guest);
    },
    300_000,
  );

  test('within a full capture stays so, and what there is of it is not lost', async () => {
    const guest = await boot(bareMetal());
    const { machine, protection } = await attachTo(guest, 0);
    // Slow enough that the stop falls into it.
    const slow = { 'max-bandwidth': 400_000 };
    await guest.monitor.execute('migrate-set-parameters', slow);
    const call = protection.capture();
    call.catch(() => undefined);
    await sleep(400);
    await guest.monitor.execute('stop');
    await expect(call).rejects.toEqual(standing('paused'));
    await stands(guest);
    await guest.monitor.execute('cont');
    await guest.monitor.execute('migrate-set-parameters', { 'max-bandwidth': 10_000_000_000 });
    expect((await protection.capture()).kind).toBe('full');
    await machine.detach();
    await beatsMore(guest);
  }, 300_000);

  test('between our question and the pause is left so', async () => {
    const guest = await boot(bareMetal());
    const { machine, protection } = await attachTo(guest);
    const capture = vi.spyOn(Session.prototype, 'capture');
    capture.mockImplementationOnce(async function (this: Session, ...args) {
      await guest.monitor.execute('stop');
      return this.capture(...args);
    });
    await expect(protection.capture()).rejects.toEqual(standing('paused'));
    await stands(guest);
    await guest.monitor.execute('cont');
    expect((await protection.capture()).kind).toBe('increment');
    const kept = await protection.keep();
    await machine.detach();
    await proveRestored(guest, kept);
  }, 300_000);

  test('at any moment of a checkpoint stands afterwards, or QEMU itself has dropped the stop', async () => {
    const guest = await boot(bareMetal());
    const { machine, protection } = await attachTo(guest);
    let held = 0;
    for (let round = 0; round < 40; round++) {
      const stop = sleep((round % 8) * 2).then(() => guest.monitor.execute('stop'));
      const notes = await protection.capture().then(
        (harvest) => harvest.notes,
        (error: unknown) => {
          expect(error).toEqual(standing('paused'));
          return ['refused'];
        },
      );
      await stop;
      await sleep(20);
      // A stop that comes within the pause does nothing, and tells nobody.
      if ((await status(guest)) === 'paused') held++;
      else expect(notes).toEqual([]);
      await guest.monitor.execute('cont');
    }
    expect(held).toBeGreaterThan(0);
    process.stderr.write(`${held} of 40 stops around a checkpoint held\n`);
    await machine.detach();
    await beatsMore(guest);
  }, 300_000);
});

describe.skipIf(withoutKvm)('a guest that stands by its own doing', () => {
  test('suspended to RAM, is left so through the end of the attachment, and wakes as ever', async () => {
    const guest = await boot(bareMetal());
    const { machine, protection } = await attachTo(guest);
    await powerManagement(guest, SUSPEND);
    await expect.poll(() => status(guest)).toBe('suspended');
    await expect(protection.capture()).rejects.toEqual(standing('suspended'));
    const notes: string[] = [];
    await machine.detach({ onNote: (text) => notes.push(text) });
    expect(notes).toEqual([expect.stringContaining('suspended to RAM')]);
    await stands(guest, 'suspended');
    await guest.monitor.execute('system_wakeup');
    await beatsMore(guest);
    await expect.poll(() => migration(guest), { timeout: 10_000 }).not.toBe('colo');
    await expect.poll(() => events(guest), { timeout: 10_000 }).toBe(false);
    // A wake-up is a reset: it is protected again all the same.
    await (await attachTo(guest)).machine.detach();
  }, 300_000);

  test('panicked, is named and left', async () => {
    const extraArgs = ['-device', 'pvpanic', '-action', 'panic=pause'];
    const guest = await boot(bareMetal({ extraArgs }));
    const { machine, protection } = await attachTo(guest);
    await guest.monitor.execute('human-monitor-command', { 'command-line': 'o /b 0x505 1' });
    await expect.poll(() => status(guest)).toBe('guest-panicked');
    await expect(protection.capture()).rejects.toEqual(standing('guest-panicked'));
    await machine.detach();
    await stands(guest, 'guest-panicked');
  }, 300_000);

  test('powered off and kept, is named and left; and without -no-shutdown it has ended', async () => {
    const kept = await boot(bareMetal({ extraArgs: ['-no-shutdown'] }));
    const first = await attachTo(kept);
    await powerManagement(kept, POWER_OFF);
    await expect.poll(() => status(kept)).toBe('shutdown');
    await expect(first.protection.capture()).rejects.toMatchObject({
      code: 'MACHINE_NOT_RUNNING',
      details: { state: 'shutdown', ended: true },
    });
    await first.machine.detach();
    await stands(kept, 'shutdown');
    const guest = await boot(bareMetal());
    const { machine } = await attachTo(guest);
    await powerManagement(guest, POWER_OFF);
    await expect.poll(() => machine.gone.aborted).toBe(true);
    expect(machine.gone.reason).toMatchObject({ code: 'MACHINE_GONE', details: { ended: true } });
    await machine.detach();
  }, 300_000);
});
