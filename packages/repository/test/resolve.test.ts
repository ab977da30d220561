import { MemoryStore } from '@fitdoc/store-memory';
import { beforeEach, describe, expect, it } from 'vitest';
import { isFitdocError, type FitdocError } from '@fitdoc/interface';
import { parseTime, Repository, type CheckpointEntry } from '../src/index.js';
import { header, machine, putChain, putSample } from './support/checkpoints.js';
import { FakeClock } from './support/fake-clock.js';

const START = Date.UTC(2026, 2, 1, 10, 0, 0);
let repository: Repository;
let chain: CheckpointEntry[];
let other: CheckpointEntry;
const clock = new FakeClock(START + 3_600_000);

beforeEach(async () => {
  repository = await Repository.init(new MemoryStore({ now: clock.now }), { clock });
  chain = await putChain(repository, 5, { fromMs: START, everyMs: 60_000 });
  other = await putSample(repository, { machine: 'm2', capturedAtMs: START + 90_000 });
});

const resolved = async (spec: string, machineId?: string) =>
  (await repository.resolve(spec, machineId === undefined ? {} : { machine: machineId })).id;

async function refused(spec: string): Promise<FitdocError> {
  const error: unknown = await repository.resolve(spec).catch((reason: unknown) => reason);
  if (!isFitdocError(error)) throw new Error(`${spec} was resolved`);
  return error;
}

describe('resolve', () => {
  it('finds the latest, of all or of a machine by id or name', async () => {
    expect(await resolved('latest')).toBe(chain[4]!.id);
    expect(await resolved('latest', 'm2')).toBe(other.id);
    expect(await resolved('m2/latest')).toBe(other.id);
    expect(await resolved('name of m2/latest')).toBe(other.id);
    expect((await refused('m3/latest')).code).toBe('CHECKPOINT_NOT_FOUND');
  });

  it('is not fooled by a clock that was set back', async () => {
    const late = await putSample(repository, { parent: chain[4]!, capturedAtMs: START - 500_000 });
    expect(await resolved('m1/latest')).toBe(late.id);
    expect(await resolved('m1/latest~1')).toBe(chain[4]!.id);
  });

  it('counts ancestors', async () => {
    expect(await resolved('latest~0')).toBe(chain[4]!.id);
    expect(await resolved('latest~')).toBe(chain[3]!.id);
    expect(await resolved('latest~4')).toBe(chain[0]!.id);
    expect(await resolved('latest~1~~')).toBe(chain[1]!.id);
    expect(await resolved(`${chain[3]!.id}~2`)).toBe(chain[1]!.id);
    const error = await refused('latest~5');
    expect(error.code).toBe('CHECKPOINT_NOT_FOUND');
    expect(error.message).toContain('4 ancestors');
  });

  it('finds ids by unique beginnings of four digits and more', async () => {
    for (const entry of chain) {
      expect(await resolved(entry.id)).toBe(entry.id);
      expect(await resolved(entry.id.slice(0, 8).toUpperCase())).toBe(entry.id);
      expect(await resolved(entry.contentHash)).toBe(entry.id);
    }
    expect((await refused(chain[0]!.id.slice(0, 3))).code).toBe('CHECKPOINT_NOT_FOUND');
    expect((await refused('0123456789abcdef0123456789abcdef')).code).toBe('CHECKPOINT_NOT_FOUND');
  });

  it('names the candidates when a beginning is not unique', async () => {
    const seen = new Map<string, CheckpointEntry>();
    for (let i = 0; i < 3_000; i++) {
      const entry = await putSample(repository, { machine: 'many', sequence: i });
      const twin = seen.get(entry.id.slice(0, 4));
      if (twin) {
        const error = await refused(entry.id.slice(0, 4));
        expect(error.code).toBe('CHECKPOINT_AMBIGUOUS');
        expect(error.details.candidates).toEqual(expect.arrayContaining([entry.id, twin.id]));
        expect(error.hint).toContain(entry.id.slice(0, 12));
        return;
      }
      seen.set(entry.id.slice(0, 4), entry);
    }
    throw new Error('no two ids began alike');
  });

  it('finds the last checkpoint at or before a time', async () => {
    expect(await resolved('2026-03-01T10:02:00Z')).toBe(chain[2]!.id);
    expect(await resolved('2026-03-01T10:02:59.999Z')).toBe(chain[2]!.id);
    expect(await resolved('@2026-03-01 11:01:10+01:00', 'm1')).toBe(chain[1]!.id);
    expect(await resolved('@2026-03-01T10:01:45Z')).toBe(other.id);
    expect(await resolved('@-57m', 'm1')).toBe(chain[3]!.id);
    expect(await resolved('@-58m', 'm1')).toBe(chain[2]!.id);
    expect(await resolved('m1/@-3540s')).toBe(chain[1]!.id);
    expect((await refused('@-1d')).code).toBe('CHECKPOINT_NOT_FOUND');
    for (const bad of ['2026-02-30', '2026-13-01T00:00', '2026-03-01T24:00Z']) {
      expect((await refused(bad)).code).toBe('ARGUMENT_INVALID');
    }
  });

  it('finds tags, moves them, remembers where they were', async () => {
    await repository.tags.set('before-upgrade', chain[1]!);
    expect(await resolved('before-upgrade')).toBe(chain[1]!.id);
    expect(await resolved('before-upgrade~1')).toBe(chain[0]!.id);
    await repository.tags.set('before-upgrade', chain[2]!);
    expect(await resolved('m1/before-upgrade')).toBe(chain[2]!.id);
    expect((await refused('m2/before-upgrade')).code).toBe('CHECKPOINT_NOT_FOUND');
    const history = await repository.tags.history('before-upgrade');
    expect(history.map(({ contentHash }) => contentHash)).toEqual([
      chain[2]!.contentHash,
      chain[1]!.contentHash,
    ]);
    await repository.tags.remove('before-upgrade');
    expect((await refused('before-upgrade')).code).toBe('CHECKPOINT_NOT_FOUND');
    expect(await repository.tags.list()).toEqual([]);
    await expect(repository.tags.remove('before-upgrade')).rejects.toMatchObject({
      code: 'CHECKPOINT_NOT_FOUND',
    });
    await repository.tags.set('before-upgrade', chain[0]!);
    expect(await resolved('before-upgrade')).toBe(chain[0]!.id);
  });

  it('refuses names for tags that mean something else', async () => {
    for (const bad of [
      '',
      'latest',
      'cafe',
      'DEADBEEF',
      '2026-03-01',
      '-5m',
      'a/b',
      'a~1',
      '@x',
      '.x',
      'x'.repeat(65),
    ]) {
      await expect(repository.tags.set(bad, chain[0]!), bad).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
      });
    }
  });

  it('lets many move one tag at once, the history keeping all', async () => {
    const moves = Array.from({ length: 10 }, (_, i) => repository.tags.set('busy', chain[i % 5]!));
    await Promise.all(moves);
    expect((await repository.tags.history('busy')).length).toBe(10);
    for (let i = 0; i < 30; i++) await repository.tags.set('busy', chain[0]!);
    expect((await repository.tags.history('busy')).length).toBeLessThanOrEqual(17);
  });

  it('says what there is when nothing is meant', async () => {
    const error = await refused('nonsense');
    expect(error.code).toBe('CHECKPOINT_NOT_FOUND');
    expect(error.hint).toContain(chain[4]!.id.slice(0, 12));
    expect(error.details.candidates).toContain(other.id);
  });

  it('refuses a name that several machines have', async () => {
    for (const id of ['x1', 'x2']) {
      const named = { ...header({ machine: id }), machine: machine(id, 'web') };
      await repository.put(named, (async function* () {})());
    }
    const error = await refused('web/latest');
    expect(error.code).toBe('CHECKPOINT_AMBIGUOUS');
    expect(error.details.candidates).toEqual(['x1', 'x2']);
  });
});

it('reads times in the local zone unless one is given', () => {
  expect(parseTime('2026-03-01', 0)).toBe(new Date(2026, 2, 1).getTime());
  expect(parseTime('2026-03-01T05:06', 0)).toBe(new Date(2026, 2, 1, 5, 6).getTime());
  expect(parseTime('2026-03-01 05:06:07.5', 0)).toBe(new Date(2026, 2, 1, 5, 6, 7, 500).getTime());
  expect(parseTime('2026-03-01T05:06Z', 0)).toBe(Date.UTC(2026, 2, 1, 5, 6));
  expect(parseTime('2026-03-01T05:06-0330', 0)).toBe(Date.UTC(2026, 2, 1, 8, 36));
  expect(parseTime('-2w', 2_000_000_000)).toBe(2_000_000_000 - 1_209_600_000);
  for (const none of ['', '-5', '5m', '-5y', '2026', '2026-3-1', 'yesterday'])
    expect(parseTime(none, 0)).toBeUndefined();
});
