import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** The kernel's range ends at -1000, which is for those that must never be killed. */
const OOM_SCORE = '-900';
/** Name of the control group that guards move to. */
const GROUP = 'fitdoc-guard';

/** Asks the kernel to kill others first. Only root may; without it the guard is as likely as the rest. */
export function outlastMemoryShortage(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', OOM_SCORE);
  } catch {
    // Not allowed.
  }
}

/**
 * Leaves the control group of the process that started the guard, which is killed as a whole when a service is
 * stopped or runs out of its memory: through systemd, which then knows of it, else by moving to a sibling group.
 * Where neither is allowed (no root, a container that shows its own group as the root) the guard stays.
 */
export async function leaveControlGroup(): Promise<void> {
  if (await underSystemd()) {
    if (await toScope()) return;
  }
  for (const line of (await text('/proc/self/cgroup')).split('\n')) {
    const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    // The groups that are killed as a whole: those of version 2, and those by which an older systemd goes.
    if (path === '/' || (controllers !== '' && controllers !== 'name=systemd')) continue;
    const mount = await mountOf(controllers);
    if (mount !== undefined) await toSibling(mount, path).catch(() => undefined);
  }
}

async function underSystemd(): Promise<boolean> {
  return stat('/run/systemd/system').then(
    () => true,
    () => false,
  );
}

/** Has systemd make a scope of this process. */
async function toScope(): Promise<boolean> {
  const bus = process.getuid?.() === 0 ? [] : ['--user'];
  const manager = [
    'org.freedesktop.systemd1',
    '/org/freedesktop/systemd1',
    'org.freedesktop.systemd1.Manager',
  ];
  const scope = [`${GROUP}-${process.pid}.scope`, 'fail', '1', 'PIDs', 'au', '1', `${process.pid}`, '0'];
  const call = [...bus, 'call', ...manager, 'StartTransientUnit', 'ssa(sv)a(sa(sv))', ...scope];
  return promisify(execFile)('busctl', call, { timeout: 5000 }).then(
    () => true,
    () => false,
  );
}

/** Moves into a group beside the one at `path`: a group that has groups below it may take no processes. */
async function toSibling(mount: string, path: string): Promise<void> {
  const group = join(mount, dirname(path), GROUP);
  await mkdir(group, { recursive: true });
  await writeFile(join(group, 'cgroup.procs'), `${process.pid}`);
}

/** Where the hierarchy with these controllers (none: version 2) is mounted, from its root on. */
async function mountOf(controllers: string): Promise<string | undefined> {
  for (const line of (await text('/proc/self/mountinfo')).split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, point] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    const wanted = controllers === '' ? 'cgroup2' : 'cgroup';
    const names = options.split(',');
    if (type !== wanted || root !== '/' || point === undefined) continue;
    if (controllers.split(',').every((name) => name === '' || names.includes(name))) return point;
  }
  return undefined;
}

async function text(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}
