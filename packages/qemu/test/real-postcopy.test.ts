import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FitdocError, type LazyReport, type PageRun } from '@fitdoc/interface';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import { serveElsewhere, writeDown } from './support/lazy-server.js';
import type { KeptCheckpoint } from './support/oracle.js';
import { RandomCheckpoint } from './support/random.js';
import {
  bareMetal,
  beatsMore,
  boot,
  isRunning,
  proveTwin,
  Protected,
  readHeartbeats,
  settings,
  stopGuests,
  twin,
  withoutKvm,
  withoutQemu,
  type GuestOptions,
  type TestGuest,
} from './support/real.js';
import { on, testedQemus } from './support/table.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fitdoc-lazy-'));
});
afterEach(async () => {
  await stopGuests();
  await rm(directory, { recursive: true });
});

const qemus = withoutQemu === undefined ? await testedQemus() : [];
const LAZY = { config: { lazy: true } };
const AUTO = { config: { lazy: 'auto' } };
// A display and a module of memory: several RAM blocks besides the main one, whose size is one that QEMU emulates right.
const blocks = ['-device', 'VGA,vgamem_mb=2', '-object', 'memory-backend-ram,id=more,size=8M'];
const moreBlocks = ['-m', '65544K,slots=2,maxmem=256M', ...blocks, '-device', 'pc-dimm,memdev=more'];

async function checkpoints(
  options: GuestOptions,
  count: number,
): Promise<{ guest: TestGuest; kept: [KeptCheckpoint, ...KeptCheckpoint[]] }> {
  const guest = await boot(options);
  const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
  const protection = new Protected(machine);
  const kept = [await protection.keep()] as [KeptCheckpoint, ...KeptCheckpoint[]];
  while (kept.length < count) {
    await beatsMore(guest, 1);
    kept.push(await protection.keep());
  }
  await machine.detach();
  return { guest, kept };
}

async function restoreAndProve(
  guest: TestGuest,
  checkpoint: RandomCheckpoint,
  first: readonly PageRun[] = [],
): Promise<LazyReport> {
  const target = await twin(guest);
  const running: string[] = [];
  const onRunning = (state: string): void => void running.push(state);
  const report = await hypervisor.restore(target.qmpPath, checkpoint, { ...LAZY, onRunning, first });
  expect(running).toEqual(['running']);
  expect(report.state).toBe('running');
  expect(report.notes.join()).not.toMatch(/before the guest ran/);
  expect(report.lazy!.runningMs).toBeLessThan(report.lazy!.sentMs);
  // One that was asked for while the end was on its way needs no answer.
  expect(report.lazy!.asked.length).toBeGreaterThanOrEqual(report.lazy!.faults);
  await proveTwin(guest, target);
  await target.stop();
  return report.lazy!;
}

describe.each(qemus)('on QEMU $version a lazy restore', (qemu) => {
  test('lets the guest run at once, from each of five checkpoints, and its memory is right', async () => {
    const { guest, kept } = await checkpoints(bareMetal({ ...on(qemu), extraArgs: moreBlocks }), 5);
    let faults = 0;
    let first: PageRun[] = [];
    for (const [index, checkpoint] of kept.entries()) {
      // A store that is slow to answer has the guest ask for more.
      const slow = new RandomCheckpoint(checkpoint, { delayMs: index * 3 });
      const lazy = await restoreAndProve(guest, slow, index % 2 === 1 ? first : []);
      first = lazy.asked.map((start) => ({ start, count: 1 }));
      faults += lazy.faults;
    }
    expect(faults).toBeGreaterThan(10);
  }, 300_000);

  // An emulated guest that waits for a page can keep QEMU from answering whoever comes to go on.
  test.skipIf(withoutKvm)(
    'whose process is killed goes on in another, and that in a third',
    async () => {
      const { guest, kept } = await checkpoints(bareMetal(on(qemu)), 1);
      const checkpoint = new RandomCheckpoint(kept[0]);
      const file = join(directory, 'checkpoint');
      await writeDown(checkpoint, file);
      for (let round = 0; round < 3; round++) {
        const target = await twin(guest);
        const operators = [
          { capability: 'postcopy-ram', state: round > 0 },
          { capability: 'late-block-activate', state: true },
        ];
        await target.monitor.execute('migrate-set-capabilities', { capabilities: operators });
        const dieAt = (): number => 1 + Math.floor(Math.random() * 12);
        const serving = { file, delayMs: 4 };
        const first = dieAt();
        expect(await serveElsewhere(target, { ...serving, dieAt: first, verb: 'restore' })).toBe('SIGKILL');
        // Another checkpoint's pages would be taken without a word.
        const other = new RandomCheckpoint(kept[0]);
        Object.assign(other, { deviceState: [...kept[0].deviceState].reverse() });
        await expect(hypervisor.resume!(target.qmpPath, other)).rejects.toMatchObject({
          code: 'MACHINE_INCOMPATIBLE',
        });
        await serveElsewhere(target, { ...serving, dieAt: dieAt(), verb: 'resume' });
        const report = await hypervisor.resume!(target.qmpPath, checkpoint).catch(
          (error: unknown) => error as FitdocError,
        );
        // The second may have come to the end.
        if (report instanceof FitdocError) expect(report.code).toBe('MACHINE_BUSY');
        const now = await target.monitor.execute('query-migrate-capabilities');
        expect(now).toEqual(expect.arrayContaining(operators));
        process.stderr.write(`QEMU ${qemu.version}: killed at read ${first}, and went on\n`);
        await proveTwin(guest, target);
        await target.stop();
      }
    },
    300_000,
  );
});

describe.skipIf(withoutQemu)('a lazy restore', () => {
  test('of a Linux guest under emulation proves its memory', async () => {
    const options = { accel: 'tcg', machine: 'q35', heart: { mib: 8, pages: 150 } } as const;
    const { guest, kept } = await checkpoints(options, 3);
    for (const checkpoint of kept) await restoreAndProve(guest, new RandomCheckpoint(checkpoint));
  }, 300_000);

  test('rides out a store that fails for a while, and says so', async () => {
    const { guest, kept } = await checkpoints(bareMetal(), 1);
    const target = await twin(guest);
    let failures = 6;
    const fail = (): void => {
      if (failures-- > 0) throw new FitdocError('STORE_UNAVAILABLE', 'No answer.', { retryable: true });
    };
    const trouble: string[] = [];
    const onTrouble = ({ code }: FitdocError): void => void trouble.push(code);
    await hypervisor.restore(target.qmpPath, new RandomCheckpoint(kept[0], { fail }), { ...LAZY, onTrouble });
    expect(trouble.length).toBeGreaterThanOrEqual(6);
    await proveTwin(guest, target);
  }, 300_000);

  test('whose connection an operator breaks makes a new one by itself', async () => {
    const { guest, kept } = await checkpoints(bareMetal(), 1);
    const target = await twin(guest);
    let told = 0;
    let broken: Promise<unknown> | undefined;
    const report = await hypervisor.restore(target.qmpPath, new RandomCheckpoint(kept[0], { delayMs: 60 }), {
      ...LAZY,
      onRunning: () => {
        told++;
        broken = target.monitor.execute('migrate-pause');
      },
    });
    await broken;
    expect(told).toBe(1);
    expect(report.state).toBe('running');
    await proveTwin(guest, target);
  }, 300_000);

  test('invents nothing for a page that cannot be read, and another copy serves it', async () => {
    const { guest, kept } = await checkpoints(bareMetal(), 1);
    const bad = kept[0].kept[kept[0].kept.length >> 1]!.gfn;
    const fail = (gfn: number): void => {
      if (gfn === bad) throw new FitdocError('FORMAT_DAMAGED', 'Its checksum is another.');
    };
    const target = await twin(guest);
    await expect(
      hypervisor.restore(target.qmpPath, new RandomCheckpoint(kept[0], { fail }), LAZY),
    ).rejects.toMatchObject({ code: 'RESTORE_FAILED', details: { running: true } });
    expect((await hypervisor.resume!(target.qmpPath, new RandomCheckpoint(kept[0]))).state).toBe('running');
    await proveTwin(guest, target);
  }, 300_000);

  /** A restore that was aborted while QEMU, which is stopped for a while, read nothing. */
  async function aborted(): Promise<{ guest: TestGuest; target: TestGuest; kept: KeptCheckpoint }> {
    const { guest, kept } = await checkpoints(bareMetal(), 1);
    const target = await twin(guest);
    const abort = new AbortController();
    const onRunning = (): void => {
      process.kill(target.pid, 'SIGSTOP');
      setTimeout(() => abort.abort(), 1000);
    };
    const restoring = hypervisor.restore(target.qmpPath, new RandomCheckpoint(kept[0]), {
      ...{ ...LAZY, onRunning, signal: abort.signal },
    });
    await expect(restoring).rejects.toMatchObject({ code: 'ABORTED', details: { running: true } });
    process.kill(target.pid, 'SIGCONT');
    return { guest, target, kept: kept[0] };
  }

  test('obeys an abort though QEMU reads nothing', async () => {
    await aborted();
  }, 300_000);

  // Not under emulation: QEMU itself may wait for a page then (see above).
  test.skipIf(withoutKvm)(
    'that was aborted goes on in another',
    async () => {
      const { guest, target, kept } = await aborted();
      await hypervisor.resume!(target.qmpPath, new RandomCheckpoint(kept));
      await proveTwin(guest, target);
    },
    300_000,
  );

  test('leaves a guest paused that its operator wants so', async () => {
    const { guest, kept } = await checkpoints(bareMetal(), 1);
    const target = await twin(guest, { extraArgs: ['-S'] });
    const report = await hypervisor.restore(target.qmpPath, new RandomCheckpoint(kept[0]), LAZY);
    expect(report.state).toBe('paused');
    expect(await readHeartbeats(target.serialPath)).toEqual([]);
    await target.monitor.execute('cont');
    await proveTwin(guest, target);
  }, 300_000);

  test('is a full one where memory is in a file, which is left alone, and says why', async () => {
    const { guest, kept } = await checkpoints(bareMetal(), 1);
    const size = guest.options.memoryKib ?? 64 * 1024;
    const backend = `memory-backend-file,id=pc.ram,size=${size}K,mem-path=${join(directory, 'ram')},share=on`;
    const target = await twin(guest, {
      machine: 'pc,memory-backend=pc.ram',
      extraArgs: ['-object', backend],
    });
    const checkpoint = new RandomCheckpoint(kept[0]);
    await expect(hypervisor.restore(target.qmpPath, checkpoint, LAZY)).rejects.toMatchObject({
      code: 'MACHINE_INCOMPATIBLE',
      message: expect.stringContaining('its memory is in a file') as string,
    });
    const report = await hypervisor.restore(target.qmpPath, checkpoint, AUTO);
    expect(report.lazy).toBeUndefined();
    expect(report.notes.join()).toMatch(/before the guest ran: its memory is in a file/);
    await proveTwin(guest, target);
  }, 300_000);

  test('is a full one of a guest that stood, and leaves it standing', async () => {
    const guest = await boot(bareMetal());
    await guest.monitor.execute('stop');
    const config = settings(guest);
    const machine = await hypervisor.attach(guest.qmpPath, { config, standing: true });
    const checkpoint = new RandomCheckpoint(await new Protected(machine).keep());
    await machine.detach();
    const target = await twin(guest);
    const report = await hypervisor.restore(target.qmpPath, checkpoint, AUTO);
    expect(report).toMatchObject({ state: 'paused' });
    expect(report.notes.join()).toMatch(/before the guest ran: the guest stood when it was captured/);
    expect(await readHeartbeats(target.serialPath)).toEqual([]);
    for (const each of [guest, target]) await each.monitor.execute('cont');
    await proveTwin(guest, target);
  }, 300_000);

  test('asks last whether the guest may run first, and takes no for an answer', async () => {
    const { guest, kept } = await checkpoints(bareMetal(), 1);
    const target = await twin(guest);
    const checkpoint = new RandomCheckpoint(kept[0]);
    const damaged = { ...AUTO, beforeLazy: () => Promise.reject(new FitdocError('FORMAT_DAMAGED', 'x')) };
    await expect(hypervisor.restore(target.qmpPath, checkpoint, damaged)).rejects.toMatchObject({
      code: 'FORMAT_DAMAGED',
    });
    const no = { ...AUTO, beforeLazy: () => Promise.resolve('it may not') };
    const report = await hypervisor.restore(target.qmpPath, checkpoint, no);
    expect(report.lazy).toBeUndefined();
    expect(report.notes.join()).toContain('before the guest ran: it may not.');
    await proveTwin(guest, target);
  }, 300_000);

  test('that QEMU cannot load leaves nothing that runs', async () => {
    const { guest, kept } = await checkpoints(bareMetal(), 1);
    const spoiled = new RandomCheckpoint(kept[0]);
    const deviceState = kept[0].deviceState.map(({ name, bytes }) => ({
      name,
      bytes: name === 'devices' ? bytes.map((byte, at) => (at === 6 ? byte ^ 1 : byte)) : bytes,
    }));
    const target = await twin(guest);
    await expect(
      hypervisor.restore(target.qmpPath, Object.assign(spoiled, { deviceState }), LAZY),
    ).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    expect(await isRunning(target).catch(() => false)).toBe(false);
  }, 300_000);
});
