import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import { hold } from './support/holder.js';
import {
  bareMetal,
  beatsMore,
  boot,
  isRunning,
  proveTwin,
  Protected,
  settings,
  stopGuests,
  twin,
  withoutQemu,
  type TestGuest,
} from './support/real.js';

afterEach(stopGuests);

/** Capabilities and parameters, the operator's own among them. */
async function asked(guest: TestGuest): Promise<unknown[]> {
  return [
    await guest.monitor.execute('query-migrate-capabilities'),
    await guest.monitor.execute('query-migrate-parameters'),
  ];
}

/** A guest whose operator has settings of his own. */
async function bootWithSettings(): Promise<{ guest: TestGuest; before: unknown[] }> {
  const guest = await boot(bareMetal());
  const capabilities = [{ capability: 'xbzrle', state: true }];
  await guest.monitor.execute('migrate-set-capabilities', { capabilities });
  await guest.monitor.execute('migrate-set-parameters', {
    'downtime-limit': 123,
    'max-bandwidth': 77_000_000,
  });
  return { guest, before: await asked(guest) };
}

/** What an operator may do with a guest that nobody is attached to: save it by a migration into a file. */
async function savesAsEver(guest: TestGuest): Promise<void> {
  const file = join(guest.directory, 'saved');
  await guest.monitor.execute('migrate', { uri: `exec:cat > ${file}` });
  const state = async () => (await guest.monitor.execute<{ status: string }>('query-migrate')).status;
  await expect.poll(state, { timeout: 60_000, interval: 100 }).toBe('completed');
  expect((await stat(file)).size).toBeGreaterThan(1 << 20);
  await guest.monitor.execute('cont');
  await beatsMore(guest);
}

describe.skipIf(withoutQemu)('no trace is left in QEMU', () => {
  test('by a process that was killed, whose guard sees to it', async () => {
    const { guest, before } = await bootWithSettings();
    const holder = await hold(guest);
    expect(await asked(guest)).not.toEqual(before);
    await holder.kill();
    await expect.poll(() => asked(guest), { timeout: 20_000 }).toEqual(before);
    expect(await isRunning(guest)).toBe(true);
    await savesAsEver(guest);
  }, 300_000);

  test('by a process whose guard was killed first: another one knows all', async () => {
    const { guest, before } = await bootWithSettings();
    const holder = await hold(guest);
    process.kill(holder.guardPid, 'SIGKILL');
    const pid = async () => Number((await holder.ask('guard'))[0]?.split(' ')[1]);
    await expect.poll(pid, { timeout: 10_000 }).not.toBe(holder.guardPid);
    await expect.poll(pid, { timeout: 10_000 }).toBeGreaterThan(0);
    // Its pipe holds what it must know from the moment of its start.
    await holder.kill();
    await expect.poll(() => asked(guest), { timeout: 20_000 }).toEqual(before);
    expect(await isRunning(guest)).toBe(true);
  }, 300_000);

  test('after both were killed, by the next attachment', async () => {
    const { guest, before } = await bootWithSettings();
    for (let round = 0; round < 2; round++) {
      const holder = await hold(guest);
      holder.child.kill('SIGSTOP');
      process.kill(holder.guardPid, 'SIGKILL');
      await holder.kill();
      expect(await asked(guest)).not.toEqual(before);
    }
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    await new Protected(machine).capture();
    await machine.detach();
    expect(await asked(guest)).toEqual(before);
    await savesAsEver(guest);
  }, 300_000);

  test('by a restore, after which the restored guest can be saved', async () => {
    const guest = await boot(bareMetal());
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    const kept = await new Protected(machine).keep();
    await machine.detach();
    const target = await twin(guest);
    const capabilities = [{ capability: 'events', state: true }];
    await target.monitor.execute('migrate-set-capabilities', { capabilities });
    const before = await asked(target);
    await hypervisor.restore(target.qmpPath, kept);
    await proveTwin(guest, target);
    expect(await asked(target)).toEqual(before);
    await savesAsEver(target);
  }, 300_000);
});

/** A control group of version 2 that can be killed as a whole, as systemd and container engines do; or why there is none. */
async function killableGroup(): Promise<{ path: string } | { missing: string }> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const line = mounts.split('\n').find((each) => / - cgroup2 /.test(each));
  if (line === undefined) return { missing: 'no control groups of version 2 are mounted' };
  const path = join(line.split(' ')[4]!, `fitdoc-test-${process.pid}`, 'service');
  try {
    await mkdir(path, { recursive: true });
    if (!existsSync(join(path, 'cgroup.kill'))) return { missing: 'this kernel has no cgroup.kill' };
    return { path };
  } catch (error) {
    return { missing: `no control group can be made: ${String(error)}` };
  }
}

const group = withoutQemu === undefined ? await killableGroup() : { missing: withoutQemu };
if ('missing' in group)
  process.stderr.write(`skipped: the guard outlives a control group: ${group.missing}\n`);

test.skipIf('missing' in group)(
  'a guard outlives the control group that its process is killed with',
  async () => {
    const { path } = group as { path: string };
    const { guest, before } = await bootWithSettings();
    const enter = ['sh', '-c', `echo $$ > ${path}/cgroup.procs; exec "$@"`, 'sh'];
    const holder = await hold(guest, true, enter);
    const left = async () =>
      !(await readFile(`/proc/${holder.guardPid}/cgroup`, 'utf8')).includes('/service');
    await expect.poll(left, { timeout: 20_000 }).toBe(true);
    expect(await readFile(join(path, 'cgroup.procs'), 'utf8')).toContain(`${holder.child.pid}`);
    await writeFile(join(path, 'cgroup.kill'), '1');
    if (holder.child.signalCode === null) await once(holder.child, 'exit');
    await expect.poll(() => asked(guest), { timeout: 20_000 }).toEqual(before);
    await beatsMore(guest);
    const gone = () =>
      rmdir(path).then(
        () => true,
        () => false,
      );
    await expect.poll(gone, { timeout: 10_000 }).toBe(true);
    await expect
      .poll(
        () =>
          rmdir(join(path, '..', 'fitdoc-guard')).then(
            () => true,
            () => false,
          ),
        { timeout: 10_000 },
      )
      .toBe(true);
    await rmdir(join(path, '..'));
  },
  300_000,
);
