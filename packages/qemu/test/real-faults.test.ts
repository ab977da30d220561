import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import { OracleMemory } from './support/oracle.js';
import {
  bareMetal,
  beatsMore,
  boot,
  isRunning,
  Protected,
  proveRestored,
  readHeartbeats,
  settings,
  stopGuests,
  type TestGuest,
  waitForHeartbeats,
  withoutQemu,
} from './support/real.js';

afterEach(stopGuests);
const coded = (code: string) => expect.objectContaining({ code }) as unknown;

/** Lets a process of its own die inside a pause of `guest`. */
async function dieInPause(guest: TestGuest, guarded: boolean): Promise<void> {
  const program = fileURLToPath(new URL('./support/victim.mjs', import.meta.url));
  guest.monitor.close();
  const child = spawn(process.execPath, [program, guest.qmpPath, guarded ? 'guard' : 'alone', 'colo'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' });
}

describe.skipIf(withoutQemu)('when we are killed inside the pause', () => {
  test('the guard resumes the guest', async () => {
    const guest = await boot(bareMetal());
    await dieInPause(guest, true);
    await beatsMore(guest, 3);
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    const kept = await new Protected(machine).keep();
    await machine.detach();
    await proveRestored(guest, kept);
  }, 300_000);

  test('without a guard the guest stands, and the next attach resumes it', async () => {
    const guest = await boot(bareMetal());
    await dieInPause(guest, false);
    await sleep(500);
    const stuck = (await readHeartbeats(guest.serialPath)).length;
    await sleep(1000);
    expect((await readHeartbeats(guest.serialPath)).length).toBe(stuck);
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    await beatsMore(guest, 3);
    expect((await new Protected(machine).capture()).kind).toBe('full');
    await machine.detach();
    await beatsMore(guest);
  }, 300_000);
});

describe.skipIf(withoutQemu)('a capture that is lost', () => {
  test('leaves the guest running, and the next is full and right', async () => {
    const guest = await boot(bareMetal());
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    const protection = new Protected(machine);
    await protection.capture();
    await protection.capture();
    for (const spoil of ['abort', 'sink'] as const) {
      await sleep(300);
      const controller = new AbortController();
      const spoiled = new OracleMemory(machine.info);
      let places = 0;
      spoiled.place = () => {
        if (++places === 5 && spoil === 'sink') throw new Error('the sink failed');
        if (places === 5) controller.abort();
        return new Uint8Array(4096);
      };
      const call = machine.capture(spoiled, { signal: controller.signal });
      if (spoil === 'sink') await expect(call).rejects.toEqual(coded('CAPTURE_FAILED'));
      else {
        const failed = await call.then(
          (harvest) => harvest.rollback(),
          (error: unknown) => error,
        );
        if (failed !== undefined) expect(failed).toEqual(coded('ABORTED'));
      }
      expect(await isRunning(guest)).toBe(true);
      if (spoil === 'sink') expect((await protection.capture()).kind).toBe('full');
    }
    const kept = await protection.keep();
    await machine.detach();
    await proveRestored(guest, kept);
  }, 300_000);
});

describe.skipIf(withoutQemu)('a guest', () => {
  test('survives captures cancelled and attachments ended over and over', async () => {
    const guest = await boot(bareMetal());
    for (let round = 0; round < 12; round++) {
      const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
      const protection = new Protected(machine);
      if (round % 3 > 0) await protection.capture();
      const controller = new AbortController();
      const call = machine.capture(new OracleMemory(machine.info), { signal: controller.signal });
      await sleep(round % 4);
      controller.abort();
      const harvest = await call.catch((error: unknown) => {
        expect(error).toEqual(coded('ABORTED'));
        return undefined;
      });
      await harvest?.rollback();
      await protection.capture();
      await machine.detach();
    }
    await beatsMore(guest);
  }, 300_000);

  test('that is reset between and after checkpoints comes back as it was', async () => {
    const guest = await boot(bareMetal());
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    const protection = new Protected(machine);
    await protection.capture();
    const before = (await readHeartbeats(guest.serialPath)).length;
    await guest.monitor.execute('system_reset');
    await waitForHeartbeats(
      guest.serialPath,
      (beats) => beats.slice(before).filter(({ beat }) => beat < 6).length > 4,
    );
    expect((await protection.capture()).kind).toBe('increment');
    await sleep(300);
    const kept = await protection.keep();
    await machine.detach();
    await proveRestored(guest, kept);
  }, 300_000);

  test('whose QEMU is killed is gone: at rest, and inside a capture', async () => {
    for (const within of [false, true]) {
      const guest = await boot(bareMetal());
      const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
      const protection = new Protected(machine);
      await protection.capture();
      const call = within ? protection.capture() : undefined;
      call?.catch(() => undefined);
      process.kill(guest.pid, 'SIGKILL');
      const told = machine.gone.aborted ? Promise.resolve() : once(machine.gone, 'abort');
      if (call !== undefined)
        await call.catch((error: unknown) => expect(error).toEqual(coded('MACHINE_GONE')));
      await told;
      expect(machine.gone.reason).toEqual(coded('MACHINE_GONE'));
      await expect(protection.capture()).rejects.toEqual(coded('MACHINE_GONE'));
      await machine.detach();
    }
  }, 300_000);

  test('that its operator paused is not resumed by a checkpoint', async () => {
    const guest = await boot(bareMetal());
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    const protection = new Protected(machine);
    await protection.capture();
    // Several times: what the operator did must be known at once, not when its event has come.
    for (let i = 0; i < 10; i++) {
      await guest.monitor.execute('stop');
      await expect(protection.capture()).rejects.toEqual(coded('MACHINE_NOT_RUNNING'));
      expect(await isRunning(guest)).toBe(false);
      await guest.monitor.execute('cont');
      expect((await protection.capture()).kind).toBe('increment');
    }
    await machine.detach();
    await guest.monitor.execute('stop');
    await expect(hypervisor.attach(guest.qmpPath, { config: settings(guest) })).rejects.toEqual(
      coded('MACHINE_NOT_RUNNING'),
    );
  }, 300_000);

  test('can be migrated as ever after a detach, with its settings as they were', async () => {
    const guest = await boot(bareMetal());
    const { monitor } = guest;
    await monitor.execute('migrate-set-capabilities', {
      capabilities: [{ capability: 'xbzrle', state: true }],
    });
    await monitor.execute('migrate-set-parameters', { 'downtime-limit': 123 });
    const asked = async () => [
      await monitor.execute('query-migrate-capabilities'),
      await monitor.execute('query-migrate-parameters'),
    ];
    const before = await asked();
    for (const captures of [0, 1, 3]) {
      const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
      const protection = new Protected(machine);
      for (let i = 0; i < captures; i++) await protection.capture();
      await machine.detach();
      expect(await asked()).toEqual(before);
      expect(await isRunning(guest)).toBe(true);
    }
    await monitor.execute('migrate', { uri: 'exec:cat > /dev/null' });
    let state = '';
    while (state !== 'completed' && state !== 'failed') {
      await sleep(20);
      state = (await monitor.execute<{ status: string }>('query-migrate')).status;
    }
    expect(state).toBe('completed');
    await monitor.execute('cont');
    await beatsMore(guest);
  }, 300_000);

  test('is busy while someone else migrates it', async () => {
    const guest = await boot(bareMetal());
    // A receiver that takes nothing.
    await guest.monitor.execute('migrate', { uri: 'exec:sleep 60' });
    await sleep(100);
    await expect(hypervisor.attach(guest.qmpPath, { config: settings(guest) })).rejects.toEqual(
      coded('MACHINE_BUSY'),
    );
    await guest.monitor.execute('migrate_cancel');
    await beatsMore(guest);
  }, 300_000);
});
