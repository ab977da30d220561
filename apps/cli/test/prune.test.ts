import { cp, readdir } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fitdoc, folder, messages, start, type Message } from './cli.js';

const MACHINE = 'mock:kept?memory=8M&workload=kv';
const TAKEN = 60;
let place: Awaited<ReturnType<typeof folder>>;
let original: string;

beforeAll(async () => {
  place = await folder();
  original = path.join(place.path, 'original');
  const watch = ['watch', MACHINE, '--store', original, '--init', '--every', '5ms', '--count', String(TAKEN)];
  expect((await fitdoc(...watch)).code).toBe(0);
});
afterAll(() => place.remove());

/** The same history, for a test to thin. */
async function copied(name: string): Promise<string[]> {
  const store = path.join(place.path, name);
  await cp(original, store, { recursive: true });
  return ['--store', store];
}

async function listed(at: readonly string[]): Promise<string[]> {
  const { checkpoints } = messages(await fitdoc('list', '--json', ...at)).at(-1) as {
    checkpoints: { id: string }[];
  };
  return checkpoints.map(({ id }) => id);
}

interface Summary {
  readonly dry_run: boolean;
  readonly freed_bytes: number;
  readonly machines: readonly {
    readonly kept: readonly { readonly id: string; readonly reasons: readonly string[] }[];
    readonly deleted: readonly string[];
    readonly merges: number;
    readonly merged_bytes: number;
    readonly worst_path_objects: number;
  }[];
}

function summaryOf(all: readonly Message[]): Summary {
  return all.find(({ message_type: type }) => type === 'summary') as unknown as Summary;
}

describe('fitdoc prune', () => {
  it('--dry-run says what goes and touches nothing; the run does just that, and what stays is whole', async () => {
    const at = await copied('run');
    const before = await listed(at);
    const last = before.slice(-5);
    const dry = summaryOf(messages(await fitdoc('prune', '--keep-last', '5', '--dry-run', '--json', ...at)));
    expect(dry.dry_run).toBe(true);
    expect(dry.machines[0]?.deleted).toEqual(before.slice(0, -5));
    expect(dry.machines[0]?.kept.map(({ id, reasons }) => [id, ...reasons]).reverse()).toEqual(
      last.map((id) => [id, 'last']),
    );
    expect(await listed(at)).toEqual(before);

    const outcome = await fitdoc('prune', '--keep-last', '5', '--json', ...at);
    expect(outcome.code).toBe(0);
    const all = messages(outcome);
    const done = summaryOf(all);
    expect(done).toMatchObject({ dry_run: false, freed_bytes: expect.any(Number) as number });
    expect(done.machines[0]?.deleted).toEqual(before.slice(0, -5));
    expect(all.filter(({ message_type: type }) => type === 'merge')).toHaveLength(
      done.machines[0]?.merges ?? 0,
    );
    expect(done.machines[0]?.worst_path_objects).toBeLessThanOrEqual(64);
    expect(done.freed_bytes).toBeGreaterThan(0);
    expect(await listed(at)).toEqual(last);
    expect((await fitdoc('verify', '--read-data', ...at)).code).toBe(0);
    const again = summaryOf(messages(await fitdoc('prune', '--keep-last', '5', '--json', ...at)));
    expect(again).toMatchObject({ freed_bytes: 0, machines: [{ deleted: [], merges: 0 }] });
  });

  it('--no-merge deletes alone: what a kept checkpoint builds on stays, and that is said', async () => {
    const at = await copied('no-merge');
    const outcome = await fitdoc('prune', '--keep-last', '5', '--no-merge', ...at);
    expect(outcome).toMatchObject({ code: 0 });
    expect(outcome.out).toContain('deleted 0 checkpoints, 0 B');
    expect(outcome.err).toContain('without --no-merge those are merged');
    expect(await listed(at)).toHaveLength(TAKEN);
  });

  it('interrupted in the middle exits with 130 and has lost nothing; the next run goes on', async () => {
    const at = await copied('interrupted');
    const kept = (await listed(at)).slice(-2);
    const sums = await Promise.all(kept.map((id) => checksum(id, at)));
    const child = start('prune', '--keep-last', '2', '--json', '--bandwidth', '2M', ...at);
    const seen: Message[] = [];
    createInterface(child.stdout!).on('line', (line) => seen.push(JSON.parse(line) as Message));
    // It reads and writes as slowly as was asked: long before it could have ended it is at work.
    await merging(at);
    const ended = new Promise((resolve) => child.on('close', resolve));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(seen.at(-1)).toMatchObject({ message_type: 'error', code: 'ABORTED' });
    expect(summaryOf(seen)).toBeUndefined();
    expect((await listed(at)).slice(-2)).toEqual(kept);
    expect((await fitdoc('verify', '--read-data', ...at)).code).toBe(0);
    expect((await fitdoc('prune', '--keep-last', '2', ...at)).code).toBe(0);
    expect(await listed(at)).toEqual(kept);
    expect(await Promise.all(kept.map((id) => checksum(id, at)))).toEqual(sums);
  });

  it('--bandwidth holds merging to it', async () => {
    const at = await copied('bandwidth');
    const begun = performance.now();
    const outcome = await fitdoc('prune', '--keep-last', '2', '--json', '--bandwidth', '2M', ...at);
    const seconds = (performance.now() - begun) / 1000;
    const [machine] = summaryOf(messages(outcome)).machines;
    expect(machine?.merged_bytes).toBeGreaterThan(0);
    expect(seconds).toBeGreaterThanOrEqual((machine?.merged_bytes ?? 0) / (2 << 20));
  });

  it.each([
    [['--keep-last', '0'], /keep nothing[^]*Say what to keep: the last so many, all for 2h/],
    [[], /No rule says what to keep[^]*--keep-/],
    [['--keep-last', '-1'], /--keep-last/],
    [
      ['--keep-hourly-for', '2d', '--keep-daily-for', '1d'],
      /'daily' for 1d ends before 'hourly' for 2d[^]*longer than 2d/,
    ],
    [['--keep-daily-for', '1h'], /less than one day[^]*last for some days/],
    [['--keep-last', '2', '--bandwidth', '20M', '--no-merge'], /--bandwidth limits merging/],
    [['--keep-last', '2', '--bandwidth', 'fast'], /--bandwidth/],
    [['--keep-last', '2', '--simulate', 'forever'], /span with an end[^]*30d or 1y/],
    [['--keep-last', '2', '--simulate', '0d'], /span with an end[^]*30d or 1y/],
    [['--keep-last', '2', '--simulate', '1000y'], /ten years at most[^]*30d or 1y/],
    [['--keep-last', '2', '--simulate', '1h', '--every', '2h'], /interval shorter than its span[^]*1s or 5m/],
    [['--keep-last', '2', '--simulate', '1h', '--every', '0s'], /1s or 5m/],
  ] as const)('with %s is a usage error that says what to write', async (options, told) => {
    const outcome = await fitdoc('prune', ...options, '--store', original);
    expect(outcome.code).toBe(2);
    expect(outcome.err).toMatch(told);
    expect(outcome.err).not.toContain('    at ');
  });

  it('--simulate touches nothing, and needs no repository', async () => {
    const tiers = ['--keep-all-for', '1h', '--keep-hourly-for', '30d'];
    const outcome = await fitdoc('prune', '--simulate', '30d', '--every', '1m', '--json', ...tiers);
    expect(outcome.code).toBe(0);
    const told = messages(outcome).find(({ message_type: type }) => type === 'simulation') as unknown as {
      moments: { taken: number; kept: number; by_rule: Record<string, number> }[];
    };
    // All of the last hour, both of its ends, and the last of each hour of thirty days.
    expect(told.moments.at(-1)).toMatchObject({ taken: 43_200, by_rule: { all: 61, 'hourly tier': 721 } });
  });
});

/** A restore's own checksum of what it read: the same bytes have the same. */
async function checksum(id: string, at: readonly string[]): Promise<string> {
  const outcome = await fitdoc('restore', id, '--to', 'mock:proof', '--json', ...at);
  expect(outcome.code).toBe(0);
  const { notes } = messages(outcome).at(-1) as { notes?: string[] };
  return notes?.join() ?? '';
}

/** Waits until somebody merges, and has for a while. */
async function merging([, store = '']: readonly string[]): Promise<void> {
  for (let looks = 0; looks < 20;) {
    const names = await readdir(path.join(store, 'locks/merger/kept')).catch(() => []);
    looks = names.some((name) => name.endsWith('.json')) ? looks + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
