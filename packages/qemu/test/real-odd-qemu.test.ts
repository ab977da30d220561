import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { StreamChannel } from '../src/session/channel.js';
import { migrationState } from '../src/session/release.js';
import { hypervisor } from './support/hypervisor.js';
import {
  bareMetal,
  beatsMore,
  boot,
  isRunning,
  Protected,
  proveRestored,
  settings,
  stopGuests,
  twin,
  withoutKvm,
  withoutQemu,
} from './support/real.js';
import { on, testedQemus } from './support/table.js';

afterEach(async () => {
  vi.restoreAllMocks();
  await stopGuests();
});

const newest =
  withoutQemu === undefined ? (await testedQemus()).findLast(({ major }) => major >= 11) : undefined;

describe.skipIf(withoutQemu)('a QEMU that does not do as others', () => {
  test.each([
    ['while it is read', false],
    ['before it is read', true],
  ])(
    'that completes the migration where COLO was to begin, %s, stands for no time, and is captured as it can be',
    async (_, late) => {
      const guest = await boot(bareMetal());
      const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
      const protection = new Protected(machine);
      // What such versions do: the capability is on, and nothing comes of it.
      const capabilities = [{ capability: 'x-colo', state: false }];
      await guest.monitor.execute('migrate-set-capabilities', { capabilities });
      // On a busy host the migration of a small guest is over before anybody reads more than its header.
      const run = Reflect.get<StreamChannel, 'run'>(StreamChannel.prototype, 'run');
      vi.spyOn(StreamChannel.prototype, 'run').mockImplementation(async function (
        this: StreamChannel,
        ...job
      ) {
        const result = await run.apply(this, job);
        const moved = async () => (await migrationState(guest.monitor)).migration === 'completed';
        if (late && job[0].type === 'header') await vi.waitUntil(moved, { timeout: 30_000 });
        return result;
      });
      const first = await protection.capture();
      expect(first.kind).toBe('full');
      expect(first.notes).toEqual([
        expect.stringMatching(/^QEMU \d+\.\d+\.\d+ ended its migration where COLO/),
      ]);
      // Our patience with a COLO that begins late is 30 s; this must not take of it.
      expect(first.pauseMs).toBeLessThan(5000);
      expect(await isRunning(guest)).toBe(true);
      await beatsMore(guest);
      const second = await protection.capture();
      expect(second).toMatchObject({ kind: 'full', notes: [] });
      const kept = await protection.keep();
      await machine.detach();
      await proveRestored(guest, kept);
    },
    300_000,
  );

  test('whose migration somebody cancels goes on being captured, and ends when it is told to', async () => {
    const guest = await boot(bareMetal());
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    const protection = new Protected(machine);
    let begun = Date.now();
    await protection.capture();
    const fullMs = Date.now() - begun;
    for (let i = 0; i < 12; i++) {
      // At rest, while QEMU is about to ask, stands or sends, and where COLO begins.
      const moment = i < 6 ? i * 2 : (fullMs * (i - 5)) / 7;
      const cancel = sleep(moment).then(() => guest.monitor.execute('migrate_cancel'));
      if (i === 0) await cancel;
      begun = Date.now();
      await protection.capture().catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'CAPTURE_FAILED' });
      });
      // The stream's end tells of it: QMP's or a capture's patience, 30 s, must not take its place.
      expect(Date.now() - begun).toBeLessThan(20_000);
      await cancel.catch(() => undefined);
      expect(await isRunning(guest)).toBe(true);
    }
    // The last cancel may yet be met by one.
    await protection.capture().catch(async () => protection.capture());
    expect(await protection.capture()).toMatchObject({ kind: 'increment', notes: [] });
    const kept = await protection.keep();
    await machine.detach();
    await proveRestored(guest, kept);
  }, 300_000);

  test.skipIf(newest === undefined || withoutKvm)(
    'that stays in its cancelling for ever, as QEMU 11 does, lets an abort and a detach through',
    async () => {
      const guest = await boot(bareMetal({ ...on(newest!) }));
      const machine = await hypervisor.attach(guest.qmpPath);
      const protection = new Protected(machine);
      await protection.capture();
      await guest.monitor.execute('migrate_cancel').catch(() => undefined);
      const cancel = new AbortController();
      setTimeout(() => cancel.abort(), 300);
      const begun = Date.now();
      await machine.capture(protection.memory, { signal: cancel.signal }).then(
        (harvest) => harvest.commit(),
        (error: unknown) => {
          expect(error).toMatchObject({
            code: expect.stringMatching(/ABORTED|CAPTURE_FAILED|MACHINE_BUSY/) as string,
          });
        },
      );
      await machine.detach().catch((error: unknown) => expect(error).toMatchObject({ code: 'MACHINE_BUSY' }));
      // Neither QMP's nor a capture's patience, 30 s each.
      expect(Date.now() - begun).toBeLessThan(25_000);
      expect(await isRunning(guest)).toBe(true);
      await beatsMore(guest);
    },
    300_000,
  );

  test('stopped as a whole while it loads a checkpoint, does not keep us', async () => {
    const guest = await boot(bareMetal());
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    const kept = await new Protected(machine).keep();
    await machine.detach();
    const target = await twin(guest);
    const cancel = new AbortController();
    let stopped = false;
    const stop = (): void => {
      if (stopped) return;
      stopped = true;
      process.kill(target.pid, 'SIGSTOP');
      setTimeout(() => cancel.abort(), 500);
    };
    const source = {
      ...kept,
      pages: async function* (options?: Parameters<typeof kept.pages>[0]) {
        stop();
        yield* kept.pages(options);
      },
    };
    const begun = Date.now();
    const call = hypervisor.restore(target.qmpPath, source, { signal: cancel.signal });
    await expect(call).rejects.toMatchObject({ code: 'ABORTED' });
    // Not after QMP's patience of 30 s.
    expect(Date.now() - begun).toBeLessThan(20_000);
    process.kill(target.pid, 'SIGCONT');
  }, 300_000);
});

test.skipIf(withoutKvm)(
  'a dirty ring is noticed before COLO meets it',
  async () => {
    const options = bareMetal({ cpus: 1, accelOptions: 'dirty-ring-size=4096' });
    const guest = await boot(options).catch(() => undefined);
    if (guest === undefined) {
      process.stderr.write('not run: this host has no dirty ring\n');
      return;
    }
    const machine = await hypervisor.attach(guest.qmpPath);
    expect(machine.supports).toMatchObject({
      increments: false,
      limits: [expect.stringContaining('dirty-ring-size')],
    });
    await new Protected(machine).capture();
    await machine.detach();
    await beatsMore(guest);
    await expect(hypervisor.attach(guest.qmpPath, { config: { mode: 'colo' } })).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
    });
  },
  300_000,
);
