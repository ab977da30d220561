import { afterEach, describe as suite, expect, test, vi } from 'vitest';
import { recordedFeatures } from '../src/machine/cpu-flags.js';
import { describe } from '../src/machine/describe.js';
import { partsIn, readTree, walk, type Part } from '../src/machine/parts.js';
import { informed } from './support/described.js';
import { bareMetal, boot, stopGuests, withoutQemu } from './support/real.js';
import { on, testedQemus } from './support/table.js';

afterEach(stopGuests);

const qemus = withoutQemu === undefined ? await testedQemus() : [];
const cases = qemus.flatMap((qemu) => ['pc', 'q35'].map((machine) => [qemu.version, machine, qemu] as const));
const sorted = (parts: readonly Part[]): string[] => parts.map(({ path, type }) => `${path} ${type}`).sort();

suite.skipIf(withoutQemu)('a waiting QEMU', () => {
  test.each(cases)(
    '%s with a %s is described in few questions as in many',
    async (version, machine, qemu) => {
      const extraArgs = [
        '-device',
        'virtio-rng-pci,id=r.1',
        '-device',
        'virtio-net-pci,mac=52:54:00:00:00:07',
      ];
      const { monitor } = await boot(bareMetal({ machine, ...on(qemu), extraArgs, incoming: true }));
      expect(sorted((await readTree(monitor))!)).toEqual(sorted(await walk(monitor)));
      const own = { major: 0, minor: 0, micro: 0, text: version };
      const asked = vi.spyOn(monitor, 'execute');
      const described = await describe(monitor, own);
      expect(described.cpuFlags).toContain('sse2');
      expect(described.cpuWords).toMatch(/(^| )1\.0\.edx=[0-9a-f]+( |$)/);
      expect(described.devices.macs).toEqual(['52:54:00:00:00:07']);
      asked.mockClear();
      const recorded = recordedFeatures(informed(described).platform);
      expect(await describe(monitor, own, recorded)).toEqual(described);
      expect(asked.mock.calls.length).toBeLessThan(25);
      // Another CPU's names say nothing of this one, nor do names that no word holds.
      const other = { cpuFlags: ['never-seen'], cpuWords: `${recorded.cpuWords!} 7.0.ebx=1` };
      expect((await describe(monitor, own, other)).cpuFlags).toEqual(described.cpuFlags);
      const beyond = { ...recorded, cpuFlags: [...recorded.cpuFlags, 'vmx-never-seen'].sort() };
      expect((await describe(monitor, own, beyond)).cpuFlags).toEqual(described.cpuFlags);
    },
  );
});

test('a tree of objects whose text is not as it is known is not believed', () => {
  const tree = '/machine (pc-machine)\r\n  /unattached (container)\r\n    /device[0]\r\n';
  expect(partsIn(tree)).toBeUndefined();
  expect(partsIn('/machine (pc-machine)\n    /deep (a)\n')).toBeUndefined();
  expect(partsIn('unknown command: qom-tree\r\n')).toBeUndefined();
  expect(partsIn('/machine (pc-machine)\n  /a b[0] (irq)\n  /c (d)\n    /e f (g)\n  /h (i)\n')).toEqual([
    { path: '/machine/c', type: 'd' },
    { path: '/machine/c/e f', type: 'g' },
    { path: '/machine/h', type: 'i' },
  ]);
});
