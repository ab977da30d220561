import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../shell.js';

/** Folders of libvirt's that a host of a test's own has for itself: what is bound over what. */
const PRIVATE = {
  etc: '/etc/libvirt',
  run: '/run/libvirt',
  lib: '/var/lib/libvirt',
  cache: '/var/cache/libvirt',
  log: '/var/log/libvirt',
};

/**
 * Namespaces of mounts, processes and the host's name under a first process of ours: whatever is started in them sees its own
 * libvirt folders, and none of it outlives that first process, nor this one.
 */
export class Spaces {
  private constructor(
    private readonly child: ChildProcess,
    private readonly leader: string,
  ) {}

  static async make(directory: string, hostname?: string): Promise<Spaces> {
    for (const name of Object.keys(PRIVATE)) await mkdir(join(directory, name), { recursive: true });
    for (const target of Object.values(PRIVATE)) await mkdir(target, { recursive: true });
    const binds = Object.entries(PRIVATE).map(([name, target]) => `mount --bind "$1/${name}" ${target}`);
    // A /dev/kvm that QEMU's user may open, where no udev has made it so; and a reaper for whoever is orphaned.
    const kvm = `if [ -c /dev/kvm ]; then mknod "$1/kvm" c 10 232 && chown root:kvm "$1/kvm" && chmod 660 "$1/kvm" && mount --bind "$1/kvm" /dev/kvm; fi`;
    const named = hostname === undefined ? [] : [`hostname ${hostname}`];
    const script = [
      ...binds,
      ...named,
      kvm,
      'touch "$1/ready"',
      'while :; do sleep 3600 & wait $!; done',
    ].join('\n');
    const isolated = [
      'unshare',
      '--mount',
      '--propagation',
      'slave',
      '--uts',
      '--pid',
      '--fork',
      '--mount-proc',
    ];
    const started = [...isolated, '--kill-child', 'sh', '-ec', script, 'sh', directory];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...started], { stdio: 'ignore' });
    const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
    while ((await readFile(join(directory, 'ready')).catch(() => undefined)) === undefined) {
      if (ended()) throw new Error('the namespaces for libvirt could not be made');
      await sleep(10);
    }
    const leader = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim();
    return new Spaces(child, leader);
  }

  /** Starts a program inside, which outlives neither the namespaces nor this process. */
  start(program: string, args: readonly string[]): ChildProcess {
    return spawn('nsenter', ['-t', this.leader, '-m', '-u', '-p', program, ...args], { stdio: 'ignore' });
  }

  /** Runs a program inside to its end; gives its output. */
  run(program: string, args: readonly string[]): Promise<string> {
    return run('nsenter', ['-t', this.leader, '-m', '-u', '-p', program, ...args]);
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    // The first process of a process namespace takes all others with it.
    process.kill(Number(this.leader), 'SIGKILL');
    await ended;
  }
}
