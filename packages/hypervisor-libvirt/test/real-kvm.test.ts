import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import { missingForLibvirt } from '../../../tools/lab/src/libvirt/index.js';
import { missingForKvm } from '../../../tools/lab/src/qemu/index.js';
import { hypervisor } from '../src/index.js';
import { startHolder, TestHost } from './support/host.js';

const kvm = gate('libvirt', (await missingForLibvirt()) ?? (await missingForKvm()));
const name = 'fast';
const firmwareHeart = { mib: 1, pages: 24 };
let on: TestHost;

describe.skipIf(kvm.skip)(kvm.title('a domain on KVM under COLO'), () => {
  beforeAll(async () => {
    on = await TestHost.start({ name, guest: 'firmware', memoryMib: 32, firmwareHeart });
  });
  afterAll(async () => on?.stop());

  test('one of whose captures was killed in the pause runs on, with the settings of before', async () => {
    const child = startHolder(on.location, 'pause');
    expect((await once(child, 'exit'))[1]).toBe('SIGKILL');
    await on.isLetGo();
  });

  test('gives twenty checkpoints, and comes back from each of five by libvirt', async () => {
    const attached = await on.attach();
    expect(attached.machine.supports.increments).toBe(true);
    const kept = await attached.series(20, 4);
    await attached.machine.detach();
    const truth = await on.livesOn();
    for (const [index, checkpoint] of kept.entries()) {
      await on.virsh('destroy', name);
      await rm(on.domain.serialPath);
      if (index % 2 === 0) await hypervisor.restore(on.location, checkpoint);
      else {
        const image = join(on.host.directory, `kept-${index}.save`);
        await hypervisor.restore(`file:${image}`, checkpoint);
        await on.virsh('restore', image);
      }
      await truth.isProved(on.domain.serialPath);
    }
  });
});
