import { createInterface } from 'node:readline';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import { missingForKvm, startGuest, type RunningGuest } from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, folder, messages, start, type Message } from './cli.js';

const kvm = gate('kvm', await missingForKvm());

interface Pause {
  readonly pause_ms: number;
  readonly kind: string;
  readonly pause_budget: {
    readonly max_ms: number;
    readonly estimated_ms: number | null;
    readonly waited_ms: number;
    readonly kept: boolean;
  };
}

function pausesOf(all: readonly Message[]): Pause[] {
  return all.filter(({ message_type: type }) => type === 'checkpoint') as unknown as Pause[];
}

/** Watches until a line fits, then ends it as Ctrl-C does; the lines, and the exit code. */
async function watchUntil(
  args: readonly string[],
  fits: (seen: readonly Message[]) => boolean,
): Promise<{ seen: Message[]; code: unknown }> {
  const child = start('watch', ...args, '--json');
  const ended = new Promise((resolve) => child.on('close', resolve));
  const seen: Message[] = [];
  createInterface(child.stdout!).on('line', (line) => {
    seen.push(JSON.parse(line) as Message);
    // Once: a second one would not wait for the end.
    if (!child.killed && fits(seen)) child.kill('SIGINT');
  });
  return { code: await ended, seen };
}

function refused(seen: readonly Message[]): Message[] {
  return seen.filter(({ details }) => (details as { pauseBudget?: boolean } | undefined)?.pauseBudget);
}

const hypervisors = [
  ['a mock machine', 'mock', undefined],
  [kvm.title('a QEMU guest on KVM'), 'kvm', kvm.skip],
] as const;

for (const [title, scheme, skip] of hypervisors) {
  describe.skipIf(skip)(`--max-pause on ${title}`, () => {
    let place: Awaited<ReturnType<typeof folder>>;
    let guest: RunningGuest | undefined;
    let machine: string;
    let at: string[];

    beforeAll(async () => {
      place = await folder();
      at = ['--store', path.join(place.path, 'store')];
      await fitdoc('init', ...at);
      if (scheme === 'kvm')
        guest = await startGuest({ accel: 'kvm', machine: 'pc-i440fx-7.2', name: 'budget' });
      machine = guest ? `kvm:${guest.qmpPath}` : 'mock:budget?memory=8M&slow-device=30ms';
    });
    afterAll(async () => {
      await guest?.stop();
      await place.remove();
    });

    it('is kept where pauses are shorter, and says by what was expected', async () => {
      const watch = [
        'watch',
        machine,
        ...at,
        '--every',
        '50ms',
        '--count',
        '4',
        '--max-pause',
        '10s',
        '--json',
      ];
      const outcome = await fitdoc(...watch);
      expect(outcome.code, outcome.out).toBe(0);
      const pauses = pausesOf(messages(outcome));
      expect(pauses).toHaveLength(4);
      for (const { pause_ms: ms, pause_budget: budget } of pauses) {
        expect(budget).toMatchObject({ max_ms: 10_000, kept: true });
        expect(ms).toBeLessThan(10_000);
      }
      expect(pauses.at(-1)?.pause_budget.estimated_ms).toBeGreaterThan(0);
      const saving = await fitdoc('save', machine, ...at, '--max-pause', '10s', '--json');
      expect(saving.code, saving.out).toBe(0);
      const [saved] = pausesOf(messages(saving));
      expect(saved?.pause_budget).toMatchObject({ max_ms: 10_000, kept: true });
    });

    const tight = ['--max-pause', '0.01ms', '--max-pause-wait', '60ms'];

    it('is exceeded as told, after the wait', async () => {
      const options = ['--every', '50ms', '--count', '3', ...tight, '--over-max-pause', 'exceed'];
      const outcome = await fitdoc('watch', machine, ...at, ...options, '--json');
      expect(outcome.code, outcome.out).toBe(0);
      const pauses = pausesOf(messages(outcome));
      expect(pauses).toHaveLength(3);
      for (const { pause_budget: budget } of pauses)
        expect(budget).toMatchObject({ max_ms: 0.01, kept: false });
      // QEMU pauses as soon as what is left fits into its least limit, a whole millisecond.
      if (scheme === 'mock') expect(pauses.at(-1)?.pause_budget.waited_ms).toBeGreaterThanOrEqual(60);
      const people = await fitdoc('watch', machine, ...at, ...options);
      expect(people.out).toContain('over 0.01 ms');
    });

    // QEMU sends until what is left fits, in steps of whole milliseconds: a guest that writes as little as this one has
    // nothing that could be refused.
    it.skipIf(scheme === 'kvm')('refuses a checkpoint otherwise: a later one has all of it', async () => {
      const options = [machine, ...at, '--every', '50ms'];
      const { seen, code } = await watchUntil([...options, ...tight], (all) => refused(all).length >= 2);
      expect(code).toBe(3);
      expect(refused(seen)[0]).toMatchObject({
        code: 'MACHINE_BUSY',
        message: expect.stringMatching(
          /^The pause would have been [\d.]+ ms, over the budget of 0.01 ms/,
        ) as string,
        hint: expect.stringContaining('the next checkpoint has all of it') as string,
      });
      const next = messages(await fitdoc('save', machine, ...at, '--json'));
      expect(next.find(({ message_type: type }) => type === 'checkpoint')).toMatchObject({
        kind: 'increment',
      });
      expect((await fitdoc('verify', '--read-data', ...at)).code).toBe(0);
    });

    it('takes nothing that is no time, and nothing that is no way out', async () => {
      const save = ['save', machine, ...at];
      expect(await fitdoc(...save, '--max-pause', 'short')).toMatchObject({
        code: 2,
        err: expect.stringContaining('--max-pause') as string,
      });
      // Before anything is touched: there is neither a machine nor a repository.
      const nothing = [
        'save',
        'kvm:/nowhere',
        '--store',
        '/nowhere',
        '--max-pause',
        '1ms',
        '--over-max-pause',
        'x',
      ];
      expect(await fitdoc(...nothing)).toMatchObject({ code: 2 });
      const way = await fitdoc(...save, '--max-pause', '1ms', '--over-max-pause', 'maybe');
      expect(way).toMatchObject({ code: 2, err: expect.stringContaining('refuse or exceed') as string });
    });
  });
}
