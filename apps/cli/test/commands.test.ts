import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fitdoc, folder, messages, start } from './cli.js';

const MACHINE = 'mock:cli?memory=16M&workload=kv&seed=11';
let place: Awaited<ReturnType<typeof folder>>;
let store: string;
let taken: { id: string; sequence: number }[];

beforeAll(async () => {
  place = await folder();
  store = path.join(place.path, 'checkpoints');
  const outcome = await fitdoc(
    'watch',
    MACHINE,
    '--store',
    store,
    '--init',
    '--every',
    '50ms',
    '--count',
    '5',
    '--json',
  );
  expect(outcome).toMatchObject({ code: 0, err: '' });
  taken = messages(outcome).filter(({ message_type: type }) => type === 'checkpoint') as never;
});
afterAll(() => place.remove());

describe('fitdoc watch', () => {
  it('gives a line of JSON a checkpoint, with the documented fields', () => {
    expect(taken).toHaveLength(5);
    for (const each of taken) {
      expect(each).toMatchObject({
        message_type: 'checkpoint',
        id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
        sequence: expect.any(Number) as number,
        pause_ms: expect.any(Number) as number,
        dirty_pages: expect.any(Number) as number,
        unchanged_pages: expect.any(Number) as number,
        changed_words: expect.any(Number) as number,
        raw_bytes: expect.any(Number) as number,
        stored_bytes: expect.any(Number) as number,
        commit_ms: expect.any(Number) as number,
      });
    }
    expect(taken.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4]);
  });

  it('ends cleanly on Ctrl-C, with a summary', async () => {
    const child = start(
      'watch',
      'mock:stop?memory=8M&workload=kv',
      '--store',
      store,
      '--every',
      '100ms',
      '--json',
    );
    let out = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes('"sequence":1')) child.kill('SIGINT');
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(0);
    expect(out).toContain('"message_type":"summary"');
    expect((await fitdoc('verify', '--read-data', '--store', store)).code).toBe(0);
  });

  it('killed in the middle, leaves a repository that is whole, and goes on with an increment', async () => {
    const args = ['mock:killed?memory=16M&workload=kv', '--store', store, '--every', '20ms', '--json'];
    const child = start('watch', ...args);
    let out = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes('"sequence":3')) child.kill('SIGKILL');
    });
    await new Promise((resolve) => child.on('close', resolve));
    expect((await fitdoc('verify', '--read-data', '--store', store)).code).toBe(0);
    const next = messages(await fitdoc('save', args[0] ?? '', '--store', store, '--json'));
    expect(next.find(({ message_type: type }) => type === 'checkpoint')).toMatchObject({ kind: 'increment' });
  });

  it('of a recording ends with success after its last epoch', async () => {
    const recording = new URL(
      '../../../packages/hypervisor-mock/recordings/office.ramtrace.zst',
      import.meta.url,
    );
    const outcome = await fitdoc(
      'watch',
      `mock:trace:${recording.pathname}`,
      '--store',
      store,
      '--every',
      '0ms',
      '--json',
    );
    expect(outcome.code).toBe(0);
    expect(
      messages(outcome).filter(({ message_type: type }) => type === 'checkpoint').length,
    ).toBeGreaterThan(20);
  });
});

describe('reading commands', () => {
  it('list what is there', async () => {
    const listed = await fitdoc('list', '--machine', 'cli', '--store', store, '--json');
    const { checkpoints } = JSON.parse(listed.out) as { checkpoints: { id: string }[] };
    expect(checkpoints.map(({ id }) => id)).toEqual(taken.map(({ id }) => id));
    const table = await fitdoc('list', '--store', store);
    expect(table.out).toContain(taken[0]?.id.slice(0, 12));
  });

  it('show one, and what differs between two', async () => {
    const info = await fitdoc('info', taken[4]?.id ?? '', '--store', store);
    expect(info).toMatchObject({ code: 0 });
    expect(info.out).toMatch(/increment to/);
    const difference = await fitdoc(
      'diff',
      'latest~2',
      'latest',
      '--machine',
      'cli',
      '--store',
      store,
      '--json',
    );
    const { pages, words } = JSON.parse(difference.out) as { pages: number; words: number };
    expect(pages).toBeGreaterThan(0);
    expect(words).toBeGreaterThanOrEqual(pages);
  });

  it('restore to a machine that goes on from there', async () => {
    const file = path.join(place.path, 'machine.bin');
    const restored = await fitdoc(
      'restore',
      taken[2]?.id ?? '',
      '--store',
      store,
      '--to',
      `mock:file:${file}`,
      '--json',
    );
    expect(restored.code).toBe(0);
    expect((await stat(file)).size).toBeGreaterThan(0);
    expect((await fitdoc('save', `mock:file:${file}`, '--store', store)).code).toBe(0);
  });

  it.each([
    ['mock', 2],
    ['kvm', 2],
    // That the guest is no Xen guest is found out first, and before a byte is written as well.
    ['xen', 21],
  ])('restore to a file by %s refuses one that is there, and replaces it when told', async (scheme, code) => {
    const file = path.join(place.path, `mine-${scheme}`);
    await writeFile(file, 'mine');
    const args = ['restore', taken[2]?.id ?? '', '--store', store, '--to', `${scheme}:file:${file}`];
    expect(await fitdoc(...args)).toMatchObject({ code });
    expect(await readFile(file, 'utf8')).toBe('mine');
    if (scheme !== 'mock') return;
    expect((await fitdoc(...args)).err).toMatch(/is there already[^]*--force/);
    expect((await fitdoc(...args, '--force')).code).toBe(0);
    expect((await stat(file)).size).toBeGreaterThanOrEqual(16 << 20);
  });

  it('export memory, and refuse to overwrite', async () => {
    const file = path.join(place.path, 'memory.raw');
    const args = ['export', taken[4]?.id ?? '', '--store', store, '-o', file];
    expect((await fitdoc(...args)).code).toBe(0);
    expect((await stat(file)).size).toBe(16 * 2 ** 20);
    expect((await fitdoc(...args)).code).toBe(2);
    expect((await fitdoc(...args, '--force', '--format', 'elf')).code).toBe(0);
    expect((await readFile(file)).subarray(1, 4).toString()).toBe('ELF');
  });
});

describe('maintenance', () => {
  it('shows what rules keep over time, and says what to write where they contradict one another', async () => {
    const tiers = ['--keep-all-for', '2h', '--keep-minutely-for', '2d', '--keep-daily-for', '1y'];
    const shown = await fitdoc('prune', '--simulate', '7d', '--every', '10s', '--json', ...tiers);
    const line = shown.out.split('\n').find((text) => text.includes('"simulation"')) ?? '';
    const { moments } = JSON.parse(line) as {
      moments: { taken: number; by_rule: Record<string, number> }[];
    };
    expect(moments.at(-1)).toMatchObject({ taken: 60_480, by_rule: { all: 721 } });
    const endless = await fitdoc('prune', '--simulate', 'forever', ...tiers);
    expect([endless.code, endless.err]).toEqual([2, expect.stringContaining('30d or 1y')]);
    const within = await fitdoc('prune', '--simulate', '7d', ...tiers, '--keep-hourly-for', '1d');
    expect(within.err).toContain("'hourly' for 1d ends before 'minutely' for 2d");
  });

  it('names, merges, prunes and deletes', async () => {
    const own = path.join(place.path, 'maintained');
    const machine = 'mock:kept?memory=8M&workload=kv';
    await fitdoc('watch', machine, '--store', own, '--init', '--every', '10ms', '--count', '8');
    expect((await fitdoc('tag', 'golden', 'latest~1', '--store', own)).code).toBe(0);
    expect((await fitdoc('compact', 'latest~5', 'latest~3', '--store', own)).out).toContain(
      'merged 3 checkpoints',
    );
    const dry = await fitdoc('prune', '--keep-last', '1', '--store', own, '--dry-run');
    expect(dry.out).toContain('tag golden');
    expect(dry.out).toMatch(/would free .*, after \d+ merges or more; an estimate/);
    const kept = await fitdoc('info', 'latest~1', '--keep-last', '1', '--store', own, '--json');
    expect(JSON.parse(kept.out)).toMatchObject({ tags: ['golden'], kept_by: ['tag golden'] });
    const goes = await fitdoc('info', 'latest~2', '--keep-last', '1', '--store', own);
    expect(goes.out).toContain('no rule: prune with these would delete it');
    expect((await fitdoc('compact', '--keep-last', '1', '--store', own)).code).toBe(0);
    const { checkpoints } = JSON.parse((await fitdoc('list', '--store', own, '--json')).out) as {
      checkpoints: { id: string; tags: string[] }[];
    };
    expect(checkpoints.length).toBeLessThan(4);
    expect(checkpoints.flatMap(({ tags }) => tags)).toEqual(['golden']);
    expect((await fitdoc('verify', '--read-data', '--store', own)).code).toBe(0);
    // The base carries all others: it stays, and that is said.
    const refused = await fitdoc('delete', checkpoints[0]?.id ?? '', '--store', own);
    expect(refused).toMatchObject({ code: 3 });
    expect((await fitdoc('delete', 'latest', '--store', own)).code).toBe(0);
  });
});

it('fitdoc copy takes a chain to another repository, once', async () => {
  const other = path.join(place.path, 'copied');
  const args = ['copy', taken[3]?.id ?? '', '--store', store, '--to', other, '--json'];
  expect((await fitdoc(...args)).code).toBe(10);
  const copied = messages(await fitdoc(...args, '--init')).at(-1);
  expect(copied).toMatchObject({ copied: taken.slice(0, 4).map(({ id }) => id), present: [] });
  expect(messages(await fitdoc(...args)).at(-1)).toMatchObject({ copied: [] });
  expect((await fitdoc('verify', '--read-data', '--store', other)).code).toBe(0);
});

describe('exit codes', () => {
  it.each([
    ['an unknown command', ['frobnicate'], 2],
    ['a missing repository option', ['list'], 2],
    ['no repository there', ['list', '--store', '/nowhere/at/all'], 10],
    ['an unknown scheme', ['save', 'vbox:x', '--store', 'STORE'], 2],
    ['no such checkpoint', ['info', 'feedfeed', '--store', 'STORE'], 1],
    ['a wrong interval', ['watch', MACHINE, '--every', 'soon', '--store', 'STORE'], 2],
    ['help', ['--help'], 0],
  ])('%s', async (_name, args, code) => {
    const outcome = await fitdoc(...args.map((arg) => (arg === 'STORE' ? store : arg)));
    expect(outcome).toMatchObject({ code });
    if (code !== 0) expect(outcome.err).not.toContain('    at ');
  });

  it('20 when verify finds damage, which it names', async () => {
    const own = path.join(place.path, 'damaged');
    await fitdoc('watch', MACHINE, '--store', own, '--init', '--every', '10ms', '--count', '3');
    const where = path.join(own, 'machines/cli/checkpoints');
    const name = (await readdir(where)).sort()[1] ?? '';
    const bytes = await readFile(path.join(where, name));
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 4;
    await writeFile(path.join(where, name), bytes);
    const outcome = await fitdoc('verify', '--read-data', '--store', own);
    expect(outcome.code).toBe(20);
    expect(outcome.out).toContain(name);
  });

  it('errors in JSON when asked for', async () => {
    const outcome = await fitdoc('list', '--json', '--store', '/nowhere/at/all');
    expect(messages(outcome)[0]).toMatchObject({ message_type: 'error', code: 'REPOSITORY_NOT_FOUND' });
  });
});

it('the demo tells its story and proves it', async () => {
  const outcome = await fitdoc('demo', '--json');
  expect(outcome.code).toBe(0);
  expect(messages(outcome).at(-1)).toMatchObject({ checkpoints: 20, restoredEqual: true, damageFound: true });
});

// Left behind, they would hold up every other machine's prune and compact until they are stale.
describe('locks', () => {
  const locks = async () =>
    (await readdir(path.join(store, 'locks'), { recursive: true })).filter((name) =>
      /cli\/.*\.json$/.test(name),
    );

  it('go with the command that took them', async () => {
    const file = path.join(place.path, 'memory');
    const commands = [
      ['save', MACHINE, '--store', store],
      ['export', 'latest', '--store', store, '--machine', 'cli', '-o', file],
      ['restore', 'latest', '--store', store, '--machine', 'cli', '--to', 'mock:locks-target'],
      ['diff', 'latest~1', 'latest', '--store', store, '--machine', 'cli'],
      ['verify', '--read-data', '--store', store],
      ['copy', '--store', store, '--to', path.join(place.path, 'locks-copy'), '--init'],
    ];
    for (const command of commands) {
      expect(await fitdoc(...command), command.join(' ')).toMatchObject({ code: 0 });
      expect(await locks(), command.join(' ')).toEqual([]);
    }
  });
});

describe('fitdoc --version', () => {
  it('is the same from the quick way and from the program', async () => {
    const told = await fitdoc('--version', '--help');
    expect(told).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string });
    for (const option of ['--version', '-V']) expect(await fitdoc(option)).toEqual(told);
  });
});
