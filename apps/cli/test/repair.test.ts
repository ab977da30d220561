import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fitdoc, folder, messages } from './cli.js';

const MACHINE = 'mock:cfg?memory=8M&workload=kv';
let place: Awaited<ReturnType<typeof folder>>;
let store: string;
let config: string;
const at = () => ['--store', store];

beforeAll(async () => {
  place = await folder();
  store = path.join(place.path, 'store');
  config = path.join(store, 'config.json');
  await fitdoc('watch', MACHINE, ...at(), '--init', '--every', '10ms', '--count', '3');
});
afterAll(() => place.remove());

describe('a damaged config object', () => {
  it.each([
    ['is empty', () => truncate(config, 0)],
    ['is missing', () => rm(config)],
    ['is cut off', () => truncate(config, 20)],
  ])('%s: every command names the remedy, which brings all back', async (_how, damage) => {
    const before = messages(await fitdoc('list', '--json', ...at())).at(-1);
    await damage();
    for (const command of [
      ['list'],
      ['info', 'latest'],
      ['save', MACHINE],
      ['save', MACHINE, '--init'],
      ['verify'],
    ]) {
      const refused = await fitdoc(...command, '--json', ...at());
      expect(refused.code).toBe(1);
      const hint = expect.stringContaining(`fitdoc repair fs:${store}`) as string;
      expect(messages(refused)[0]).toMatchObject({ code: 'REPOSITORY_DAMAGED', hint });
    }
    expect(await fitdoc('init', store)).toMatchObject({ code: 1 });
    const repaired = await fitdoc('repair', store);
    expect(repaired).toMatchObject({
      code: 0,
      out: expect.stringContaining('rebuilt for repository') as string,
    });
    expect(repaired.err).toContain('Its id is a new one');
    expect(messages(await fitdoc('list', '--json', ...at())).at(-1)).toEqual(before);
    expect((await fitdoc('verify', '--read-data', ...at())).code).toBe(0);
    expect(messages(await fitdoc('repair', '--json', ...at())).at(-1)).toMatchObject({ found: 'whole' });
  });

  it('is rebuilt with the id that it had, where that is known or legible', async () => {
    const { repository: id } = messages(await fitdoc('repair', store, '--json')).at(-1) as {
      repository: string;
    };
    const text = await readFile(config, 'utf8');
    await writeFile(config, text.slice(0, text.indexOf('createdAtMs')));
    expect(messages(await fitdoc('repair', store, '--json')).at(-1)).toMatchObject({
      repository: id,
      id_from: 'config',
    });
    await rm(config);
    const known = await fitdoc('repair', store, '--id', id, '--json');
    expect(messages(known).at(-1)).toMatchObject({ repository: id, id_from: 'caller', found: 'missing' });
    expect(await fitdoc('repair', store, '--id', 'mine')).toMatchObject({ code: 2 });
  });

  it('in the place that a copy goes to is healed by the copy', async () => {
    const to = path.join(place.path, 'copied');
    const copy = ['copy', ...at(), '--to', to];
    await fitdoc(...copy, '--init');
    await truncate(path.join(to, 'config.json'), 0);
    expect(await fitdoc(...copy)).toMatchObject({ code: 1 });
    const healed = await fitdoc(...copy, '--heal');
    expect(healed).toMatchObject({
      code: 0,
      err: expect.stringContaining('rebuilt for repository') as string,
    });
    expect((await fitdoc('verify', '--read-data', '--store', to)).code).toBe(0);
  });

  it('is not made where there is no repository', async () => {
    const other = path.join(place.path, 'theirs');
    expect(await fitdoc('repair', other)).toMatchObject({ code: 10 });
    await fitdoc('init', other);
    await writeFile(path.join(other, 'config.json'), '{"name":"an app"}');
    expect(await fitdoc('repair', other)).toMatchObject({
      code: 10,
      err: expect.stringContaining('nothing is lost') as string,
    });
    expect(await readFile(path.join(other, 'config.json'), 'utf8')).toBe('{"name":"an app"}');
  });
});
