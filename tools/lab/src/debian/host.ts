import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../shell.js';
import { debianRoot, type HostRelease } from './roots.js';

interface Init {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
}

/** A Debian of its own in a folder: not this system's packages, and not its /etc, /usr or /var. */
export class DebianHost {
  private init: Init | undefined;
  private leader: string | undefined;

  private constructor(
    readonly root: string,
    private readonly shared: string | undefined,
  ) {}

  /** `shared`: a folder of this host's that it sees under the same name. */
  static async make(release: HostRelease, shared?: string): Promise<DebianHost> {
    const archive = debianRoot(release);
    if (archive === undefined) throw new Error(`no root of ${release}`);
    const root = await mkdtemp(join(tmpdir(), `fitdoc-${release}-`));
    try {
      await run('tar', ['-xf', archive, '-C', root]);
      if (shared !== undefined) await mkdir(join(root, shared), { recursive: true });
      return new DebianHost(root, shared);
    } catch (error) {
      await rm(root, { recursive: true, force: true });
      throw error;
    }
  }

  /** Puts a file into its /root, and gives its name there. */
  async bring(file: string): Promise<string> {
    const name = `/root/${basename(file)}`;
    await cp(file, join(this.root, name));
    return name;
  }

  read(file: string): Promise<string> {
    return readFile(join(this.root, file), 'utf8');
  }

  /** Runs a shell's words there, in what is booted or else in the bare root; gives what they print. */
  async run(words: string): Promise<string> {
    const clean = [
      'env',
      '-i',
      'HOME=/root',
      'LANG=C.UTF-8',
      'PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ];
    if (this.leader !== undefined)
      return run('nsenter', [
        '-t',
        this.leader,
        '-m',
        '-p',
        '-u',
        '-i',
        '-r',
        '-w',
        ...clean,
        'sh',
        '-ec',
        words,
      ]);
    // Mounts of a namespace of their own end with the command.
    const mounts = [
      'mount -t proc proc "$1/proc"',
      'mount --rbind /dev "$1/dev"',
      ...(this.shared === undefined ? [] : ['mount --bind "$3" "$1/$3"']),
    ].join(' && ');
    const inside = `${mounts} && exec chroot "$1" ${clean.join(' ')} sh -ec "$2"`;
    const args = [this.root, words, ...(this.shared === undefined ? [] : [this.shared])];
    return run('unshare', ['--mount', '--propagation', 'slave', 'sh', '-ec', inside, 'sh', ...args]);
  }

  /** Boots its systemd in a container and waits until it has reached its target. */
  async boot(): Promise<void> {
    const bind = this.shared === undefined ? [] : [`--bind=${this.shared}`];
    const how = ['--quiet', '--register=no', '--keep-unit', '--boot', '--kill-signal=SIGRTMIN+3', ...bind];
    const child = spawn('systemd-nspawn', [...how, '-D', this.root], { stdio: 'ignore' });
    this.init = { child, ended: once(child, 'exit') };
    const { pid } = child;
    const deadline = Date.now() + 60_000;
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`systemd-nspawn ended with ${child.exitCode ?? child.signalCode}`);
      if (Date.now() > deadline) throw new Error('systemd did not come up within a minute');
      await sleep(200);
      const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
      this.leader = children.trim().split(' ')[0] || undefined;
      if (this.leader === undefined) continue;
      const state = await this.run('systemctl is-system-running --wait || true').catch(() => '');
      if (/running|degraded/.test(state)) return;
    }
  }

  async stop(): Promise<void> {
    try {
      if (this.init) await this.powerOff(this.init);
    } finally {
      await rm(this.root, { recursive: true, force: true });
    }
  }

  private async powerOff({ child, ended }: Init): Promise<void> {
    const isUp = child.exitCode === null && child.signalCode === null;
    // A container killed from outside leaves its control groups: its own init first.
    if (isUp && this.leader !== undefined) await this.run('systemctl poweroff').catch(() => undefined);
    // With its init go all of its processes, and then systemd-nspawn ends in order.
    const kill = (): unknown =>
      this.leader === undefined ? child.kill('SIGKILL') : process.kill(Number(this.leader), 'SIGKILL');
    const late = setTimeout(kill, this.leader === undefined ? 0 : 20_000);
    await ended;
    clearTimeout(late);
    this.leader = undefined;
    this.init = undefined;
  }
}
