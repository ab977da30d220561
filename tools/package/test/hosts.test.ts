import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { DebianHost, missingForDebian, type HostRelease } from '../../lab/src/debian/index.js';
import { gate } from '../../lab/src/gate.js';
import {
  missingForKvm,
  readHeartbeats,
  startGuest,
  waitForHeartbeats,
  type RunningGuest,
} from '../../lab/src/qemu/index.js';
import { run } from '../../lab/src/shell.js';
import { build, renumbered } from './support.js';

const debian = gate('debian', await missingForDebian());
const kvm = gate('kvm', await missingForKvm());

let built: Awaited<ReturnType<typeof build>>;
let next: string;
beforeAll(async () => {
  if (debian.skip) return;
  built = await build();
  next = await renumbered(built.deb.file, '0.9.9');
});
afterAll(async () => {
  await built?.remove();
});

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function host(release: HostRelease, shared?: string): Promise<DebianHost> {
  const made = await DebianHost.make(release, shared);
  cleanups.push(() => made.stop());
  return made;
}

async function guest(): Promise<RunningGuest> {
  const started = await startGuest({ accel: 'kvm', name: 'web' });
  cleanups.push(() => started.stop());
  await waitForHeartbeats(started.serialPath, (beats) => beats.length > 2);
  return started;
}

interface Listed {
  readonly parent: string | null;
}

async function checkpoints(on: DebianHost): Promise<readonly Listed[]> {
  const told = await on.run('fitdoc list --store /var/lib/fitdoc --json');
  return (JSON.parse(told) as { checkpoints: Listed[] }).checkpoints;
}

/** All that a root holds outside what dpkg writes for itself. */
function contents({ root }: DebianHost): Promise<string> {
  const apart = ['proc', 'dev', 'sys', 'tmp', 'run', 'var/lib/dpkg', 'var/log', 'var/cache', 'root'];
  const prune = apart.flatMap((name) => ['-path', `./${name}`, '-prune', '-o']);
  return run('sh', [
    '-c',
    'cd "$1" && shift && find . "$@" -printf "%P %y %m\\n" | sort',
    'sh',
    root,
    ...prune,
  ]);
}

describe.skipIf(debian.skip)(debian.title('on a Debian without Node.js'), () => {
  it('is the same file when it is built again', async () => {
    const again = await build();
    cleanups.push(again.remove);
    await run('cmp', [built.deb.file, again.deb.file]);
    await run('cmp', [built.tarball.file, again.tarball.file]);
  });

  it.each(['bookworm', 'trixie'] as const)(
    'installs, runs, is upgraded and purged on %s',
    async (release) => {
      const it = await host(release);
      await expect(it.run('command -v node')).rejects.toThrow();
      const before = await contents(it);
      await it.run(`dpkg -i ${await it.bring(built.deb.file)}`);
      // As the launchers say it, and as the programs do.
      const programs = ['cli', 'daemon'].map(
        (app) => `$l/runtime/node $l/apps/${app}/dist/main.js --version`,
      );
      const versions = ['fitdoc --version', 'fitdocd --version', 'fitdoc -V', ...programs].join(' && ');
      expect(await it.run(`l=/usr/lib/fitdoc; ${versions}`)).toBe(`${built.release.version}\n`.repeat(5));
      expect(await it.run('fitdoc demo')).toContain('equal, byte for byte');
      await it.run('fitdoc init /var/lib/fitdoc && fitdoc save mock:web --store /var/lib/fitdoc');
      await it.run(
        `printf '\\n[machines.web]\\nlocation = "mock:web"\\nrepository = "local"\\nevery = "1s"\\n' >> /etc/fitdocd.toml`,
      );
      expect(await it.run('fitdocd check')).toContain('ok, 1 machine(s)');

      await it.run(`dpkg -i --force-confold ${await it.bring(next)}`);
      expect(await it.run("dpkg-query -W -f '${Version}' fitdoc")).toBe('0.9.9');
      expect(await it.run('fitdocd check')).toContain('ok, 1 machine(s)');
      await it.run('fitdoc save mock:web --store /var/lib/fitdoc');
      expect(await checkpoints(it)).toHaveLength(2);

      await it.run('dpkg --purge fitdoc');
      // What was protected is the operator's.
      expect(await it.run('ls /var/lib/fitdoc')).toContain('machines');
      await it.run('rm -r /var/lib/fitdoc');
      expect(await contents(it)).toBe(before);
    },
  );

  it('has its manual, completions, licences and a commented configuration in their places', async () => {
    const it = await host('bookworm');
    await it.run(`dpkg -i ${await it.bring(built.deb.file)}`);
    const files = (await it.run('dpkg -L fitdoc')).split('\n');
    for (const file of [
      '/usr/share/bash-completion/completions/fitdoc',
      '/usr/share/zsh/vendor-completions/_fitdoc',
      '/usr/share/fish/vendor_completions.d/fitdoc.fish',
      '/usr/share/man/man8/fitdocd.8.gz',
      '/usr/lib/systemd/system/fitdocd.service',
    ])
      expect(files).toContain(file);
    expect(await it.run('MANWIDTH=100 man -E UTF-8 --warnings fitdoc-watch 2>&1 | col -b')).toMatch(
      /--every <time>/,
    );
    expect(
      await it.run('man --warnings fitdoc 2>&1 >/dev/null; man --warnings fitdocd 2>&1 >/dev/null'),
    ).toBe('');
    const copyright = await it.read('/usr/share/doc/fitdoc/copyright');
    for (const work of ['@fitdoc/engine', 'koffi', 'fastify', 'Node.js'])
      expect(copyright).toContain(`\n${work}`);
  });

  it('runs from the tarball, wherever that is unpacked and however it is called', async () => {
    const it = await host('trixie');
    const file = await it.bring(built.tarball.file);
    await it.run(
      `mkdir "/srv/a b" && tar -xzf ${file} -C "/srv/a b" && ln -s /srv/a\\ b/fitdoc-*/bin/fitdoc /usr/local/bin`,
    );
    expect(await it.run('cd / && fitdoc --version')).toBe(`${built.release.version}\n`);
    expect(await it.run('fitdoc demo')).toContain('equal, byte for byte');
  });
});

const both = debian.skip ? debian : kvm;
describe.skipIf(both.skip)(both.title('a guest on KVM that a host without Node.js protects'), () => {
  async function protectedGuest(): Promise<{ on: DebianHost; web: RunningGuest }> {
    const web = await guest();
    const on = await host('bookworm', web.directory);
    await on.run(`dpkg -i ${await on.bring(built.deb.file)}`);
    const machine = `[machines.web]\nlocation = "kvm:${web.qmpPath}"\nrepository = "local"\nevery = "100ms"\n`;
    const file = path.join(on.root, 'etc/fitdocd.toml');
    await writeFile(file, `${await readFile(file, 'utf8')}\n${machine}`);
    await on.boot();
    return { on, web };
  }

  /** Checkpoints of this daemon's life. */
  const taken = async (on: DebianHost): Promise<number> => {
    const told = await on.run('fitdoc status --json').catch(() => undefined);
    if (told === undefined) return 0;
    return (JSON.parse(told) as { machines: { checkpoints: number }[] }).machines[0]?.checkpoints ?? 0;
  };
  const takes = (on: DebianHost): Promise<void> =>
    vi.waitFor(async () => expect(await taken(on)).toBeGreaterThan(2), { timeout: 60_000, interval: 100 });
  /** How long until the guest shows that it runs. */
  const beatsAfter = async ({ serialPath }: RunningGuest): Promise<number> => {
    const [start, before] = [performance.now(), (await readHeartbeats(serialPath)).length];
    await waitForHeartbeats(serialPath, ({ length }) => length > before, 10_000);
    return performance.now() - start;
  };

  it('beats on when its daemon, or all of its control group, is killed under systemd, which starts it again', async () => {
    const { on, web } = await protectedGuest();
    // Type=notify: this returns when the daemon has said that it is ready.
    await on.run('systemctl enable --now fitdocd');
    const silent: number[] = [];
    for (const whom of ['main', 'all', 'main', 'all', 'main', 'all']) {
      await takes(on);
      await on.run(`systemctl kill --kill-whom=${whom} --signal=KILL fitdocd`);
      silent.push(await beatsAfter(web));
    }
    process.stdout.write(`silent for ${silent.map((ms) => ms.toFixed(0)).join(', ')} ms after a kill\n`);
    await takes(on);
    expect(Number(await on.run('systemctl show -p NRestarts --value fitdocd'))).toBeGreaterThanOrEqual(6);
    await on.run('systemctl reload fitdocd');
    await takes(on);
    await on.run('systemctl stop fitdocd');
    expect((await on.run('systemctl show -p Result --value fitdocd')).trim()).toBe('success');
    await beatsAfter(web);
    expect((await readHeartbeats(web.serialPath)).every(({ intact }) => intact)).toBe(true);
    expect(await on.run('fitdoc verify --store /var/lib/fitdoc')).toContain('no damage');
  });

  it('goes on with its chain when the package is upgraded under it', async () => {
    const { on, web } = await protectedGuest();
    await on.run('systemctl enable --now fitdocd');
    await takes(on);
    const before = await checkpoints(on);
    await on.run(`dpkg -i --force-confold ${await on.bring(next)}`);
    await takes(on);
    await on.run('systemctl stop fitdocd');
    await beatsAfter(web);
    const after = await checkpoints(on);
    expect(after.length).toBeGreaterThan(before.length);
    expect(after.filter(({ parent }) => parent === null)).toHaveLength(1);
    await on.run('dpkg --remove fitdoc');
    await expect(on.run('systemctl is-enabled fitdocd')).rejects.toThrow();
    await beatsAfter(web);
  });
});
