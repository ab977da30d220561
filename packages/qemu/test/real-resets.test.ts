import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import { isFitdocError } from '@fitdoc/interface';
import { hold } from './support/holder.js';
import { restoresRight } from './support/restores-right.js';
import { mainLoopWaits } from './support/main-loop.js';
import {
  bareMetal,
  beatsMore,
  boot,
  Protected,
  settings,
  stopGuests,
  withoutKvm,
  withoutQemu,
  type GuestOptions,
  type TestGuest,
} from './support/real.js';
import { on, testedQemus } from './support/table.js';

afterEach(stopGuests);

/** How long guests are reset while they are captured, seconds; by hand more. */
const SECONDS = Number(process.env['RESET_SECONDS'] ?? 8);

/** What the guest's firmware reads as an order to make a triple fault. */
const TRIPLE_FAULT = 'o /b 0xb3 0x77';

/** Resets the guest from outside, or has it make the fault. */
async function strike(guest: TestGuest, { kind }: Case): Promise<void> {
  if (kind === 'reset') await guest.monitor.execute('system_reset');
  else await guest.monitor.execute('human-monitor-command', { 'command-line': TRIPLE_FAULT });
}

/** How often the guest has begun anew. */
async function boots(guest: TestGuest): Promise<number> {
  return [...(await readFile(guest.serialPath, 'latin1')).matchAll(/BOOT \d/g)].length;
}

interface Case {
  readonly kind: 'reset' | 'triple fault';
  readonly options: GuestOptions;
  /** Milliseconds between two, at the most. */
  readonly every: number;
}

const qemus = withoutQemu === undefined ? await testedQemus() : [];
const firmware = { guest: 'firmware', machine: 'pc' } as const;

// By emulation, where every host makes a triple fault of it: a KVM that emulates this guest cannot. With COLO from 11 on.
const emulated = qemus.findLast(({ major }) => major >= 11);

// With several CPUs a reset that meets the pause leaves QEMU waiting for CPUs that run, until they are kicked.
const several = withoutKvm === undefined ? [qemus[0], qemus.at(-1)].filter((qemu) => qemu !== undefined) : [];

const CASES: readonly Case[] = [
  { kind: 'reset', options: bareMetal({ cpus: 1 }), every: 400 },
  ...[...new Set(several)].map((qemu): Case => ({
    kind: 'reset',
    options: bareMetal({ cpus: 4, ...on(qemu) }),
    every: 300,
  })),
  ...(emulated === undefined
    ? []
    : [
        {
          kind: 'triple fault',
          options: {
            ...firmware,
            accel: 'tcg',
            memoryKib: 32 * 1024 + 8,
            shim: false,
            cpus: 1,
            ...on(emulated),
          },
          every: 1500,
        } as const,
      ]),
];

describe.skipIf(withoutQemu)('at any moment of its checkpoints', () => {
  test.each(CASES.map((each) => [each.kind, each.options.cpus, each] as const))(
    'a %s of a guest with %i CPU(s) never ends QEMU, and it comes back from before and after',
    { timeout: GUESTS * (SECONDS * 1000 + 60_000) + 60_000 },
    async (_kind, cpus, each) => {
      for (let tried = 1; ; tried++) {
        const outcome = await protectThrough(each);
        process.stderr.write(`${each.kind}, ${cpus} CPU(s): ${outcome}\n`);
        if (outcome !== HUNG) return;
        // Told from every other failure, and not to be the rule.
        expect(tried).toBeLessThan(GUESTS);
        await stopGuests();
      }
    },
  );
});

/** Guests of which one must get through: what the README's limits tell of QEMU's main loop can meet any of them. */
const GUESTS = 3;
const HUNG = 'QEMU waits for its own threads for ever';

/** Takes checkpoints of a guest that is struck meanwhile, and proves the first and the last. Says how it went. */
async function protectThrough(each: Case): Promise<string> {
  const guest = await boot(each.options);
  const config = each.options.qemu === undefined ? settings(guest) : {};
  const machine = await hypervisor.attach(guest.qmpPath, { config: { ...config, timeoutMs: 10_000 } });
  const protection = new Protected(machine);
  const before = await protection.keep();
  const end = Date.now() + SECONDS * 1000;
  let strikes = 0;
  const striking = (async () => {
    for (; Date.now() < end; strikes++) {
      await strike(guest, each);
      await sleep(Math.random() * each.every);
    }
  })();
  striking.catch(() => undefined);
  let captures = 0;
  try {
    for (; Date.now() < end; captures++) {
      await protection.capture();
      await sleep(50);
    }
    await striking;
    await beatsMore(guest, 3);
  } catch (error) {
    const silent = isFitdocError(error) || /heartbeats/.test(String(error));
    if (!silent || machine.gone.aborted || (await mainLoopWaits(guest)) !== 'lock') throw error;
    await restoresRight(guest, before);
    return HUNG;
  }
  const after = await protection.keep();
  expect(await boots(guest)).toBeGreaterThan(1);
  expect(machine.gone.aborted).toBe(false);
  await machine.detach();
  for (const checkpoint of [before, after]) await restoresRight(guest, checkpoint);
  return `${captures} captures, ${strikes} strikes`;
}

/**
 * Resets the guest again and again until one is not answered, as the main loop waits for CPUs that run. Undefined when
 * it waits for QEMU's own threads, which nobody can end.
 */
async function untilUnanswered(guest: TestGuest): Promise<{ answered: Promise<unknown> } | undefined> {
  for (;;) {
    const answered = guest.monitor.execute('system_reset');
    answered.catch(() => undefined);
    for (let waited = 0; waited < 15_000; waited += 100) {
      const over = answered.then(() => 'answered');
      const found = await Promise.race([over, mainLoopWaits(guest)]);
      if (found === 'answered') break;
      if (found === 'kvm') return { answered };
      if (waited > 10_000 && found === 'lock') return undefined;
    }
    await sleep(Math.random() * 100);
  }
}

describe.skipIf(withoutKvm)('a process that dies while QEMU waits for CPUs that run', () => {
  test('leaves a guard that frees it', { timeout: 300_000 }, async () => {
    for (let tried = 1; ; tried++) {
      const guest = await boot(bareMetal({ cpus: 4, ...on(qemus.at(-1)!) }));
      const holder = await hold(guest);
      let dead = false;
      const capturing = (async () => {
        while (!dead) {
          await holder.ask('capture');
          await sleep(30);
        }
      })().catch(() => undefined);
      const waiting = await untilUnanswered(guest);
      dead = true;
      holder.child.kill('SIGKILL');
      await capturing;
      if (waiting !== undefined) {
        await waiting.answered;
        await beatsMore(guest, 3);
        return;
      }
      expect(tried).toBeLessThan(GUESTS);
      await stopGuests();
    }
  });
});
