import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseConfiguration } from '../src/config/load.js';

const COMMAND = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const GOOD = `
[repositories.local]
location = "/nowhere/at/all"
[machines.web]
location = "mock:web"
repository = "local"
every = "1s"
`;

function faultsOf(text: string): string[] {
  try {
    parseConfiguration(text, 'f.toml');
    return [];
  } catch (error) {
    return (error as Error).message.split('\n');
  }
}

describe('a configuration', () => {
  test('gets its units and defaults', () => {
    const { daemon, machines } = parseConfiguration(
      `${GOOD}pause-budget = "50ms"\nretention = { keep-last = 3, keep-within = "7d" }\n[daemon]\nmemory = "16G"`,
      'f.toml',
    );
    expect(daemon).toMatchObject({ socket: '/run/fitdocd.sock', memory: 16 * 2 ** 30, 'max-captures': 4 });
    expect(machines['web']).toMatchObject({
      every: 1000,
      'pause-budget': 50,
      retention: { 'keep-last': 3, 'keep-within': 7 * 86_400_000 },
      disks: 'refuse',
      'leave-out-disks': [],
    });
  });

  test('names a port that a machine that was started apart has to answer at', () => {
    const portOf = (value: string): unknown =>
      parseConfiguration(`${GOOD}verify-boot-tcp = ${value}`, 'f.toml').machines['web']?.['verify-boot-tcp'];
    expect(portOf('22')).toEqual({ port: 22 });
    expect(portOf('"10.0.0.7/24:22"')).toEqual({ port: 22, address: '10.0.0.7', prefix: 24 });
  });

  test.each([
    [
      'an unknown setting',
      `${GOOD}evry = "1s"`,
      /^f\.toml:8: machines\.web\.evry: there is no such setting; known here: .*every/,
    ],
    [
      'an unknown table',
      `${GOOD}[machine.x]\nlocation = "mock:x"`,
      /^f\.toml:8: machine: there is no such setting; known here: daemon, repositories, machines/,
    ],
    [
      'a missing setting',
      GOOD.replace('location = "mock:web"', ''),
      /^f\.toml:4: machines\.web\.location: is missing; add location = /,
    ],
    ['another type', GOOD.replace('"1s"', '1'), /^f\.toml:7: machines\.web\.every: takes a text in quotes/],
    [
      'no duration',
      GOOD.replace('"1s"', '"soon"'),
      /^f\.toml:7: machines\.web\.every: "soon" is no duration: write 500ms/,
    ],
    [
      'no size',
      `[daemon]\nmemory = "lots"\n${GOOD}`,
      /^f\.toml:2: daemon\.memory: .*"lots" is no size: write 512M/,
    ],
    [
      'no cron pattern',
      GOOD.replace('every = "1s"', 'cron = "61 * * * *"'),
      /^f\.toml:7: machines\.web\.cron: "61 \* \* \* \*" is no cron pattern/,
    ],
    [
      'two schedules',
      `${GOOD}cron = "* * * * *"`,
      /^f\.toml:4: machines\.web: exactly one of every, cron and adaptive/,
    ],
    [
      'an unknown repository',
      GOOD.replace('repository = "local"', 'repository = "other"'),
      /^f\.toml:6: machines\.web\.repository: there is no repository "other"; known: local/,
    ],
    [
      'TCP without a token',
      `[daemon]\nlisten = "127.0.0.1:1"\n${GOOD}`,
      /^f\.toml:2: daemon\.listen: listen needs a token-file/,
    ],
    [
      'a fault in an inline table',
      `${GOOD}pause-hook = { command = ["x"], timeout = "2m" }`,
      /^f\.toml:8: machines\.web\.pause-hook\.timeout: is longer than 0 and at most 60s/,
    ],
    [
      'an unknown setting of a hook',
      `${GOOD}hooks = { befor = ["x"] }`,
      /^f\.toml:8: machines\.web\.hooks\.befor: there is no such setting; known here: before, after, timeout/,
    ],
    [
      'a value out of a list',
      `${GOOD}disks = "all"`,
      /^f\.toml:8: machines\.web\.disks: takes one of: "refuse", "external", "capture"/,
    ],
    [
      'a bad name',
      GOOD.replace('machines.web', 'machines."a b"'),
      /^f\.toml:4: machines\.a b: a name has letters/,
    ],
    [
      'retention without a rule',
      `${GOOD}[machines.web.retention]`,
      /^f\.toml:8: machines\.web\.retention: The retention policy would keep nothing\. Say what to keep/,
    ],
    [
      'a tier within a finer one',
      `${GOOD}retention = { keep-minutely-for = "2d", keep-hourly-for = "1d" }`,
      /^f\.toml:8: machines\.web\.retention: The tier 'hourly' for 1d ends before 'minutely' for 2d.*longer than 2d/,
    ],
    [
      'a tier shorter than its stretch',
      `${GOOD}retention = { keep-daily-for = "6h" }`,
      /^f\.toml:8: machines\.web\.retention: The tier 'daily' lasts for 6h, which is less than one day/,
    ],
    [
      'no port of a guest',
      `${GOOD}verify-boot-tcp = "10.0.0.255/24:22"`,
      /^f\.toml:8: machines\.web\.verify-boot-tcp: 10\.0\.0\.255\/24:22 has no address of a guest.* Write 22/,
    ],
    [
      'what no port has to say',
      `${GOOD}verify-boot-banner = "^SSH"`,
      /^f\.toml:8: machines\.web\.verify-boot-banner: verify-boot-banner needs verify-boot-tcp/,
    ],
    [
      'a standby of no repository',
      `${GOOD}[standbys.db]\nrepository = "far"\ndir = "/d"`,
      /^f\.toml:9: standbys\.db\.repository: there is no repository "far"; known: local/,
    ],
    [
      'a standby in no place',
      `${GOOD}[standbys.db]\nrepository = "local"`,
      /^f\.toml:8: standbys\.db\.dir: is missing; add dir = "\/var\/lib\/fitdoc\/NAME"/,
    ],
    [
      'a standby where the daemon stands',
      `${GOOD}[standbys.db]\nrepository = "local"\ndir = "d"`,
      /^f\.toml:10: standbys\.db\.dir: takes a path from the root/,
    ],
    [
      'two standbys in one place',
      `${GOOD}[standbys.a]\nrepository = "local"\ndir = "/d"\n[standbys.b]\nrepository = "local"\ndir = "/x/../d/"`,
      /^f\.toml:13: standbys\.b\.dir: is the directory of standbys\.a, too/,
    ],
    [
      'a setting that a standby has not',
      `${GOOD}[standbys.db]\nrepository = "local"\ndir = "/d"\nlocation = "kvm:/x"`,
      /^f\.toml:11: standbys\.db\.location: there is no such setting; known here: machine, repository, dir, every, options/,
    ],
    ['bad TOML', `${GOOD}\nx = `, /^f\.toml:9:\d+: /],
  ])('with %s is refused with line and remedy', (_what, text, expected) => {
    expect(faultsOf(text)).toEqual([expect.stringMatching(expected)]);
  });

  test('with many faults names each, in the order of the lines', () => {
    const faults = faultsOf(
      `${GOOD}disks = "all"\nlevel = "high"\n[machines.db]\nevery = "1s"\nrepository = "x"`,
    );
    expect(faults.map((fault) => /^f\.toml:(\d+): [\w.-]+/.exec(fault)?.[0])).toEqual([
      'f.toml:8: machines.web.disks',
      'f.toml:9: machines.web.level',
      'f.toml:10: machines.db.location',
    ]);
  });
});

describe('fitdocd check', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'fitdocd-check-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  function check(file: string): Promise<{ code: unknown; out: string; err: string }> {
    return new Promise((resolve) => {
      execFile(process.execPath, [COMMAND, 'check', '--config', file], (error, out, err) =>
        resolve({ code: error?.code ?? 0, out, err }),
      );
    });
  }

  test('names machines that would write one chain, with their lines', async () => {
    const file = path.join(folder, 'twins.toml');
    const machine = (name: string, location: string, repository: string, more = ''): string =>
      `[machines.${name}]\nlocation = "${location}"\nrepository = "${repository}"\nevery = "1s"\n${more}`;
    const repositories = `[repositories.one]\nlocation = "${folder}/r"\n[repositories.two]\nlocation = "fs:${folder}/x/../r/"\n`;
    // The same place spelled twice; a name and a machine-id; the same socket by two ways.
    await writeFile(
      file,
      repositories +
        machine('a', 'mock:web?memory=8M', 'one') +
        machine('b', 'mock:other', 'two', 'machine-id = "web"\n') +
        machine('c', '/run/vm.qmp', 'one').replace('"/run', '"kvm:/run') +
        machine('d', 'kvm:/run/x/../vm.qmp', 'two'),
    );
    const { code, err } = await check(file);
    expect(code).toBe(2);
    const lines = err.split('\n');
    expect(lines[0]).toContain(`${file}:6: machines.a.location: has the same identity, web as machines.b`);
    expect(lines[1]).toContain(`${file}:10: machines.b.location: has the same identity, web as machines.a`);
    expect(lines[2]).toContain(`${file}:15: machines.c.location: is the same guest as machines.d`);
    // Sockets of one base name: their guests may say who they are.
    await writeFile(
      file,
      repositories +
        machine('a', 'kvm:/run/a/vm.qmp', 'one') +
        machine('b', 'kvm:/run/b/vm.sock', 'one') +
        machine('c', 'kvm:/run/c/other.qmp', 'one') +
        machine('d', 'kvm:/run/d/vm.qmp', 'one', 'machine-id = "own"\n'),
    );
    const doubtful = await check(file);
    expect(doubtful.code).toBe(0);
    expect(doubtful.out).toMatch(
      new RegExp(
        `^${file}:10: machines.b has the same identity, vm, unless .*machines.a on line 6.*\n${file}: ok`,
      ),
    );
  });

  test('says that all is well', async () => {
    const file = path.join(folder, 'good.toml');
    await writeFile(file, GOOD);
    expect(await check(file)).toEqual({
      code: 0,
      out: `${file}: ok, 1 machine(s) in 1 repository(s)\n`,
      err: '',
    });
  });

  test('counts standbys', async () => {
    const file = path.join(folder, 'standbys.toml');
    await writeFile(file, `${GOOD}[standbys.db]\nrepository = "local"\ndir = "${folder}/db"`);
    const out = `${file}: ok, 1 machine(s) in 1 repository(s), 1 standby(s)\n`;
    expect(await check(file)).toEqual({ code: 0, out, err: '' });
  });

  test('finds adapters and files that are not there', async () => {
    const file = path.join(folder, 'bad.toml');
    const text = `[daemon]\ntoken-file = "${folder}/none"\n${GOOD.replace('"mock:web"', '"vbox:web"').replace('/nowhere/at/all', 'ftp:x')}`;
    await writeFile(file, text);
    const { code, err } = await check(file);
    expect(code).toBe(2);
    expect(err).toMatch(/bad\.toml:2: daemon\.token-file: ENOENT/);
    expect(err).toMatch(/bad\.toml:5: repositories\.local\.location: no store has the scheme "ftp:"/);
    expect(err).toMatch(/bad\.toml:7: machines\.web\.location: .*vbox.*mock:/);
    expect(err).toMatch(/Correct the file, then: fitdocd check/);
  });

  test('says so when there is no file', async () => {
    const { code, err } = await check(path.join(folder, 'missing.toml'));
    expect(code).toBe(2);
    expect(err).toMatch(/missing\.toml: cannot be read .*ENOENT/);
  });
});
