import { randomUUID } from 'node:crypto';
import { appendFile, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../shell.js';
import { Spaces } from './spaces.js';

const START_MS = 60_000;

const SETTINGS: Readonly<Record<string, string>> = {
  'libvirtd.conf': `auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
log_filters = "3:*"
log_outputs = "1:file:/var/log/libvirt/libvirtd.log"
`,
  // Without the confinement and the control groups of the host, which belong to its own libvirt.
  'qemu.conf': `security_driver = "none"
cgroup_controllers = []
`,
  'virtlogd.conf': `max_size = 67108864
`,
};

/**
 * A libvirtd and virtlogd of a test's own, without systemd: own configuration, sockets, state and logs, guests as
 * Debian's user for QEMU; nothing of the host's libvirt is seen or touched, any number beside each other.
 */
export class LibvirtHost {
  private readonly daemons = new Map<string, () => Promise<string>>();

  private constructor(
    /** Its folder, which QEMU's user can enter. */
    readonly directory: string,
    private readonly spaces: Spaces,
  ) {}

  /**
   * Resolves when libvirtd answers. `hostname`: of a host that is to be another than its machine, for migrations between
   * two. Always `stop` it. Needs what `installLibvirt` installs.
   */
  static async start({ hostname }: { hostname?: string } = {}): Promise<LibvirtHost> {
    const directory = await mkdtemp(join(tmpdir(), 'fitdoc-libvirt-'));
    await chmod(directory, 0o755);
    await mkdir(join(directory, 'etc'));
    for (const [name, text] of Object.entries(SETTINGS)) await writeFile(join(directory, 'etc', name), text);
    // Two of one machine are two hosts only if neither name nor UUID is that of the machine.
    if (hostname !== undefined)
      await appendFile(join(directory, 'etc', 'libvirtd.conf'), `host_uuid = "${randomUUID()}"\n`);
    const host = new LibvirtHost(directory, await Spaces.make(directory, hostname));
    try {
      await host.startDaemon('virtlogd');
      await host.startDaemon('libvirtd');
    } catch (error) {
      await host.stop();
      throw error;
    }
    return host;
  }

  /** How a client of this process reaches it. */
  get uri(): string {
    return `qemu+unix:///system?socket=${join(this.directory, 'run', 'libvirt-sock')}`;
  }

  /** Runs virsh to its end; gives what it prints. */
  async virsh(...args: string[]): Promise<string> {
    return (await run('virsh', ['-q', '-c', this.uri, ...args])).trim();
  }

  /** Starts `libvirtd` or `virtlogd` (again), and waits until it answers. */
  async startDaemon(name: 'libvirtd' | 'virtlogd'): Promise<void> {
    const pidFile = `/run/libvirt/${name}.pid`;
    const child = this.spaces.start(name, ['-f', `/etc/libvirt/${name}.conf`, '-p', pidFile]);
    const log = async (): Promise<string> =>
      (await readFile(join(this.directory, 'log', `${name}.log`), 'utf8').catch(() => '')).slice(-2000);
    this.daemons.set(name, () => readFile(join(this.directory, 'run', `${name}.pid`), 'utf8'));
    const deadline = Date.now() + START_MS;
    const answers = (): Promise<unknown> =>
      name === 'libvirtd'
        ? this.virsh('list')
        : this.spaces.run('test', ['-S', '/run/libvirt/virtlogd-sock']);
    while (
      !(await answers().then(
        () => true,
        () => false,
      ))
    ) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`${name} has ended (${child.exitCode ?? child.signalCode}): ${await log()}`);
      if (Date.now() > deadline) throw new Error(`${name} does not answer: ${await log()}`);
      await sleep(50);
    }
  }

  /** Ends a daemon and waits until it is gone. Guests and their disks go on. */
  async endDaemon(name: 'libvirtd' | 'virtlogd', signal: 'TERM' | 'KILL' = 'TERM'): Promise<void> {
    const pid = (await this.daemons.get(name)!()).trim();
    await this.spaces.run('kill', [`-${signal}`, pid]);
    // One that was killed stays a zombie until it is reaped.
    const alive = `grep -qsE '^State:.[^ZX]' /proc/${pid}/status`;
    await this.spaces.run('sh', ['-c', `while ${alive}; do sleep 0.05; done`]);
  }

  /** Migrates a domain to another of these hosts, by a socket that QEMU's user can make; gives what virsh prints. */
  async migrate(domain: string, to: LibvirtHost, ...options: string[]): Promise<string> {
    const directory = await mkdtemp(join(to.directory, 'migration-'));
    await chmod(directory, 0o777);
    const way = ['--migrateuri', `unix://${directory}/socket`];
    return this.virsh('migrate', '--live', ...options, domain, to.uri, ...way);
  }

  /** Where libvirt keeps a running domain's own QMP socket, as a client outside sees it. */
  async monitorSocket(domain: string): Promise<string> {
    const id = await this.virsh('domid', domain);
    return join(this.directory, 'lib', 'qemu', `domain-${id}-${domain}`, 'monitor.sock');
  }

  /** Runs a program as one of this host's, among its processes and folders. */
  inside(program: string, ...args: string[]): Promise<string> {
    return this.spaces.run(program, args);
  }

  /** Ends daemons and guests, whatever they do, and removes all files. */
  async stop(): Promise<void> {
    await this.spaces.end();
    await rm(this.directory, { recursive: true, force: true });
  }
}
