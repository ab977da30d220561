import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FoundMachine } from '@fitdoc/interface';
import { describe, expect, test as plain } from 'vitest';
import { parseConfiguration } from '../src/config/load.js';
import { expand } from '../src/config/expand.js';
import { MemberNames } from '../src/config/member-names.js';
import type { MachineStatus, PatternStatus } from '../src/model.js';
import { Fleet } from './support/fleet.js';
import { mock, type Running } from './support/daemon.js';
import { test } from './support/test.js';

const ALL = `
[machines."fleet:*"]
repository = "local"
every = "200ms"
look-every = "200ms"
`;
const ADAPTER = 'adapters = ["fleet"]';

async function names(daemon: Running): Promise<string[]> {
  return (await daemon.get<MachineStatus[]>('/v1/machines')).map(({ name }) => name).sort();
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 100));
}

describe.concurrent('a pattern', () => {
  test('protects machines as they come and go, each with its own chain', async ({ place }) => {
    const fleet = await Fleet.install(place, [{ name: 'web' }]);
    await place.configure(mock('named') + ALL, ADAPTER);
    const daemon = await place.start().ready();
    const web = await daemon.until('web', ({ checkpoints }) => checkpoints >= 2);
    expect(web).toMatchObject({ pattern: 'fleet:*', location: 'fleet:id-web', machineId: 'id-web' });
    await fleet.are([{ name: 'web' }, { name: 'db' }, { name: 'idle', off: true }]);
    await daemon.until('db', ({ checkpoints }) => checkpoints >= 1);
    const idle = await daemon.until('idle', ({ state }) => state === 'standing');
    expect(idle.standing).toMatchObject({ state: 'shut off', message: 'idle does not run.' });
    expect(await names(daemon)).toEqual(['db', 'idle', 'named', 'web']);
    expect(await daemon.get<PatternStatus[]>('/v1/patterns')).toMatchObject([
      { pattern: 'fleet:*', machines: ['web', 'db', 'idle'], leftOut: [] },
    ]);
    const { text } = await daemon.request('/metrics');
    expect(text).toContain('fitdoc_pattern_machines{pattern="fleet:*"} 3');
    expect(text).toMatch(/fitdoc_checkpoints_total\{vm="db"\} [1-9]/);

    // One goes, one starts; the one that stays keeps its attachment.
    await fleet.are([{ name: 'web' }, { name: 'idle' }]);
    await until(async () => !(await names(daemon)).includes('db'));
    await daemon.until('idle', ({ checkpoints }) => checkpoints >= 1);
    expect((await daemon.request('/metrics')).text).not.toContain('vm="db"');
    const later = await daemon.machine('web');
    expect(later.checkpoints).toBeGreaterThan(web.checkpoints);
    expect(later.failures).toBe(0);
    const kinds = (await daemon.timeline('web')).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'base')).toHaveLength(1);

    // It comes back, and its chain goes on.
    await fleet.are([{ name: 'web' }, { name: 'db' }]);
    await daemon.until('db', ({ checkpoints }) => checkpoints >= 1);
    expect((await daemon.timeline('db')).filter(({ kind }) => kind === 'base')).toHaveLength(1);
    expect(await daemon.kill('SIGTERM')).toBe(0);
  });

  test('leaves all as it is while nobody can tell what there is', async ({ place }) => {
    const fleet = await Fleet.install(place, [{ name: 'web' }]);
    await place.configure(ALL, ADAPTER);
    const daemon = await place.start().ready();
    const { checkpoints } = await daemon.until('web', (machine) => machine.checkpoints >= 1);
    await fleet.isSilent();
    const problem = await daemon.logged(({ msg }) => msg === 'Nobody can tell.');
    expect(problem).toMatchObject({ pattern: 'fleet:*' });
    await daemon.until('web', (machine) => machine.checkpoints > checkpoints + 2);
    const [status] = await daemon.get<PatternStatus[]>('/v1/patterns');
    expect(status).toMatchObject({ machines: ['web'], lastProblem: { message: 'Nobody can tell.' } });
    expect((await daemon.request('/metrics')).text).toContain(
      'fitdoc_pattern_look_success{pattern="fleet:*"} 0',
    );
    await fleet.are([{ name: 'web' }, { name: 'db' }]);
    await daemon.until('db', (machine) => machine.checkpoints >= 1);
    expect(await daemon.kill('SIGTERM')).toBe(0);
  });

  test('that a reload takes away takes its machines away', async ({ place }) => {
    await Fleet.install(place, [{ name: 'web' }]);
    await place.configure(ALL, ADAPTER);
    const daemon = await place.start().ready();
    await daemon.until('web', ({ checkpoints }) => checkpoints >= 1);
    await place.configure(mock('named'), ADAPTER);
    await daemon.request('/v1/reload', { method: 'POST' });
    expect(await names(daemon)).toEqual(['named']);
    expect(await daemon.get('/v1/patterns')).toEqual([]);
    expect(await daemon.kill('SIGTERM')).toBe(0);
  });

  test('is shown by check with what it matches and what it leaves out', async ({ place }) => {
    const fleet = await Fleet.install(place, [
      { name: 'web' },
      { name: 'idle', off: true },
      { name: 'dom0', refused: 'It is not of QEMU.' },
    ]);
    const file = await place.configure(ALL, ADAPTER);
    const command = fileURLToPath(new URL('../dist/main.js', import.meta.url));
    const check = () =>
      new Promise<string>((resolve) =>
        execFile(
          process.execPath,
          [command, 'check', '--config', file],
          { cwd: place.folder },
          (_error, out, err) => resolve(out + err),
        ),
      );
    const said = await check();
    expect(said).toContain('machines."fleet:*" matches 2 now: web, idle (does not run)\n');
    expect(said).toContain('machines."fleet:*" leaves out dom0: It is not of QEMU.\n');
    expect(said).toMatch(/ok, 0 machine\(s\) and 1 pattern\(s\) in 1 repository/);
    await fleet.isSilent();
    expect(await check()).toContain('what it matches cannot be told now: Nobody can tell.');
  });
});

const TEXT = `
[repositories.local]
location = "/nowhere"
[machines.mine]
location = "libvirt:db"
repository = "local"
every = "1s"
[machines."libvirt:web-*"]
repository = "local"
every = "2s"
tag = "nightly"
[machines."libvirt:*"]
except = ["scratch*"]
repository = "local"
cron = "0 0 * * *"
`;
const machine = (name: string, more: Partial<FoundMachine> = {}): FoundMachine => ({
  ...{ id: `uuid-${name}`, name, location: name, locations: [`uuid-${name}`], ways: [], needs: [] },
  ...more,
});

describe('what patterns mean', () => {
  const declared = parseConfiguration(TEXT, 'f.toml');
  const found = [
    machine('web-1', { tags: ['nightly'] }),
    machine('web-2'),
    machine('db'),
    machine('scratch-3'),
    machine('my vm'),
    machine('mine'),
  ];

  plain('the first that fits has the machine, one that is named has none', () => {
    const { members } = expand(declared, () => found, new MemberNames());
    expect(members.map(({ name, settings }) => [name, settings.pattern, settings.location])).toEqual([
      ['web-1', 'libvirt:web-*', 'libvirt:uuid-web-1'],
      ['web-2', 'libvirt:*', 'libvirt:uuid-web-2'],
      ['my_vm', 'libvirt:*', 'libvirt:uuid-my vm'],
      ['mine-uuid-min', 'libvirt:*', 'libvirt:uuid-mine'],
    ]);
    expect(members[0]?.settings).toMatchObject({ every: 2000, repository: 'local' });
    expect(members[0]?.settings).not.toHaveProperty('tag');
  });

  plain('a name stays with its machine while others come and go, and follows a new one', () => {
    const all = parseConfiguration(TEXT.replace('except = ["scratch*"]', ''), 'f.toml');
    const kept = new MemberNames();
    const of = (list: readonly ReturnType<typeof machine>[]) =>
      expand(all, (pattern) => (pattern === 'libvirt:*' ? list : []), kept).members.map(({ name }) => name);
    // Of another libvirt, whose names are its own.
    const away = { id: 'another-a', location: 'test://#a', locations: ['test://#another-a'] };
    const [one, other] = [machine('a'), machine('a', away)];
    expect(of([one, other])).toEqual(['a', 'a-another-']);
    expect(of([other])).toEqual(['a-another-']);
    expect(of([{ ...other, name: 'b', location: 'test://#b' }])).toEqual(['b']);
    expect(of([one])).toEqual(['a']);
  });

  plain.each([
    [
      'a place of its own',
      TEXT.replace('tag = "nightly"', 'location = "x"'),
      /f\.toml:11: .*no such setting/,
    ],
    ['no schedule', TEXT.replace('every = "2s"', ''), /f\.toml:8: machines\.libvirt:web-\*: exactly one of/],
    [
      'an unknown repository',
      TEXT.replace('local"\nevery = "2s"', 'x"\nevery = "2s"'),
      /f\.toml:9: .*no repository "x"/,
    ],
    [
      'a name without a wildcard',
      TEXT.replace('web-*', 'web'),
      /f\.toml:8: .*a pattern has a scheme and a \*/,
    ],
    ['another table', `${TEXT}[patterns.x]`, /f\.toml:16: patterns: .*\[machines\."libvirt:\*"\]/],
  ])('with %s it is refused with its line', (_what, text, expected) => {
    expect(() => parseConfiguration(text, 'f.toml')).toThrow(expected);
  });
});
