import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import { OracleMemory } from './support/oracle.js';
import { bareMetal, beatsMore, boot, isRunning, settings, stopGuests, withoutQemu } from './support/real.js';

afterAll(stopGuests);

describe.skipIf(withoutQemu)('the channel to a guest agent of a real QEMU', () => {
  test('is found; an agent that does not answer is no capture, or a note, and the guest runs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fitdoc-agent-'));
    const path = join(folder, 'agent.sock');
    const extraArgs = [
      ...['-chardev', `socket,id=qga0,path=${path},server=on,wait=off`, '-device', 'virtio-serial-pci'],
      ...['-device', 'virtserialport,chardev=qga0,name=org.qemu.guest_agent.0'],
    ];
    const guest = await boot(bareMetal({ name: 'silent', extraArgs }));
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    expect(machine.supports.quiesce).toBe(true);
    const memory = new OracleMemory(machine.info);
    for (const full of [true, false]) {
      const failing = machine.capture(memory, { full, quiesce: { timeoutMs: 500, onFailure: 'fail' } });
      await expect(failing).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
      expect(await isRunning(guest)).toBe(true);
      const harvest = await machine.capture(memory, {
        full,
        quiesce: { timeoutMs: 500, onFailure: 'note' },
      });
      expect(harvest.quiesced?.failure).toMatch(/does not answer/);
      // What failed before it has cost no increment.
      expect(harvest.kind).toBe(full || !machine.supports.increments ? 'full' : 'increment');
      await harvest.commit();
    }
    await beatsMore(guest);
    await machine.detach();
    await stopGuests();
    await rm(folder, { recursive: true });
  });
});
