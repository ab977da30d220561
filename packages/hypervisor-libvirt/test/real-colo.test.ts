import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHeartbeats, waitForHeartbeats } from '../../../tools/lab/src/qemu/index.js';
import { libvirt, recordOf, startHolder, TestHost } from './support/host.js';

const name = 'heart';
let on: TestHost;

/** Whether a process is there and no zombie. */
async function runs(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tX');
  return !/^State:\s+[ZX]/m.test(status);
}

/** One domain for all: what a test leaves of it, the next one meets. */
describe.skipIf(libvirt.skip)(libvirt.title('a domain under COLO'), () => {
  beforeAll(async () => {
    on = await TestHost.start({ name, guest: 'emulated-firmware' });
  });
  afterAll(async () => on?.stop());

  test('a save by libvirt is refused while fitdoc is attached and works afterwards', async () => {
    const first = await on.attach();
    const image = join(on.host.directory, 'theirs.save');
    expect(first.machine.supports.increments).toBe(true);
    expect(await first.capture()).toBe('full');
    expect(await on.refused('save', name, image)).toMatch(/error/i);
    expect(await on.refused('managedsave', name)).toMatch(/error/i);
    await on.until('it runs', async () => (await on.state()) === 'running');
    expect(await first.capture()).toBe('increment');
    await on.beatsOn();
    await first.machine.detach();
    expect(await on.capabilities()).toEqual(['events']);
    await on.virsh('save', name, image);
    await on.virsh('restore', image);
    await on.beatsOn();
  });

  test('what its operator suspended stays so, and goes on as its operator says', async () => {
    const attached = await on.attach();
    await attached.capture();
    await on.virsh('suspend', name);
    await expect(attached.capture()).rejects.toMatchObject({ code: 'MACHINE_NOT_RUNNING' });
    await on.virsh('resume', name);
    expect(await attached.capture()).toBe('increment');
    await on.virsh('suspend', name);
    await attached.machine.detach();
    await on.until('it stands', async () => (await on.state()) === 'paused');
    expect(await on.capabilities()).toEqual(['events']);
    await on.virsh('resume', name);
    await on.beatsOn();
  });

  test('a device that is plugged in meanwhile is refused, and is there in captures after it was taken', async () => {
    const device = join(on.host.directory, 'rng.xml');
    await writeFile(device, "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>");
    const first = await on.attach();
    await first.capture();
    expect(await on.refused('attach-device', name, device)).toMatch(/migrat/i);
    await on.until('it runs', async () => (await on.state()) === 'running');
    expect(await first.capture()).toBe('increment');
    await first.machine.detach();
    await on.virsh('attach-device', name, device);
    const second = await on.attach();
    expect(await second.capture()).toBe('full');
    expect(recordOf(await second.keep()).xml).toContain("<rng model='virtio'>");
    expect(await second.capture()).toBe('increment');
    await second.machine.detach();
    await on.beatsOn();
  });

  test('a killed fitdoc leaves a guest that runs, and libvirt its settings', async () => {
    for (const when of ['between', 'pause'] as const) {
      const child = startHolder(on.location, when);
      const exit = once(child, 'exit');
      await Promise.race([once(child.stdout, 'data'), exit]);
      if (when === 'between') child.kill('SIGKILL');
      expect((await exit)[1]).toBe('SIGKILL');
      await on.until('the settings are back', async () =>
        (await on.capabilities().catch(() => [])).every((each) => each === 'events'),
      );
      await on.until('it runs', async () => (await on.state()) === 'running');
      await on.beatsOn();
    }
    const image = join(on.host.directory, 'after-kill.save');
    await on.virsh('save', name, image);
    await on.virsh('restore', image);
    await on.beatsOn();
  });

  test('a domain that was started again is nothing to the guard of its former life', async () => {
    const child = startHolder(on.location, 'between');
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const guard = Number(/ready (\d+)/.exec(line.toString())?.[1]);
    process.kill(guard, 'SIGSTOP');
    child.kill('SIGKILL');
    await on.virsh('destroy', name);
    await on.virsh('start', name);
    await on.until('it beats', async () => (await on.beats()).length >= 2);
    // What a guard would put back.
    const command = { capabilities: [{ capability: 'x-colo', state: true }] };
    const text = JSON.stringify({ execute: 'migrate-set-capabilities', arguments: command });
    await on.virsh('qemu-monitor-command', name, text);
    process.kill(guard, 'SIGCONT');
    await on.until('the guard ends', async () => !(await runs(guard)));
    expect(await on.capabilities()).toContain('x-colo');
    await on.virsh('qemu-monitor-command', name, text.replace('true', 'false'));
    await on.beatsOn();
  });

  test('a libvirtd that is killed and started again is no end of it', async () => {
    const attached = await on.attach();
    await attached.capture();
    expect(await attached.capture()).toBe('increment');
    await on.host.endDaemon('libvirtd', 'KILL');
    await on.beatsOn();
    await on.host.startDaemon('libvirtd');
    expect(await attached.capture()).toBe('increment');
    await attached.machine.detach();
    expect(await on.capabilities()).toEqual(['events']);
    expect(await on.state()).toBe('running');
  });

  test('a checkpoint has its domain, and libvirt brings it back as it was', async () => {
    const attached = await on.attach();
    await attached.capture();
    const kept = await attached.keep();
    await attached.machine.detach();
    const record = recordOf(kept);
    expect(record).toMatchObject({ version: 1, uri: on.host.uri, name, uuid: kept.info.id });
    expect(record.xml).toContain(`<name>${name}</name>`);
    await on.beatsOn();
    const truth = join(on.host.directory, 'truth');
    const image = await on.saveImage(kept);
    await on.virsh('destroy', name);
    await copyFile(on.domain.serialPath, truth);
    await on.virsh('restore', image);
    const restored = await waitForHeartbeats(on.domain.serialPath, (beats) => beats.length >= 2, 60_000);
    const sums = new Map(
      (await readHeartbeats(truth)).map(({ name: worker, beat, sum }) => [`${worker} ${beat}`, sum]),
    );
    for (const { name: worker, beat, sum, intact } of restored.slice(0, 2)) {
      expect(intact).toBe(true);
      expect(sum).toBe(sums.get(`${worker} ${beat}`));
    }
  });

  test('a reset goes on in the same QEMU, and the end of the domain is told', async () => {
    const attached = await on.attach();
    await attached.capture();
    await on.virsh('reset', name);
    expect(await attached.capture()).toBe('increment');
    await on.virsh('destroy', name);
    await on.until('it is gone', async () => attached.machine.gone.aborted);
    expect(attached.machine.gone.reason).toMatchObject({ code: 'MACHINE_GONE' });
    await attached.machine.detach();
  });
});
