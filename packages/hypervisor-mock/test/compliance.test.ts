import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { hypervisorSuite } from '@fitdoc/compliance/hypervisor';
import { describe, expect, it } from 'vitest';
import { loadMachine } from '../src/machine-file.js';
import { MockHypervisor } from '../src/mock-hypervisor.js';

const runner = { describe, it: (name: string, body: () => Promise<void>, ms?: number) => it(name, body, ms) };

for (const [workload, disks] of [
  ['kv', 0],
  ['compiler', 0],
  ['kv', 2],
] as const) {
  hypervisorSuite(runner, {
    name: `mock, ${workload}, ${disks} disks`,
    absentLocation: 'file:/nowhere/at/all',
    async open() {
      const hypervisor = new MockHypervisor();
      const place = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-mock-'));
      const location = `vm?memory=4M&rate=100&workload=${workload}&disks=${disks}&disk-size=4M`;
      const guest = () => hypervisor.machine('vm');
      return {
        hypervisor,
        location,
        isRunning: async () => guest()?.paused !== true,
        mutate: async () => guest()?.run(2),
        readMemory: async (gfn, count) => guest()?.read(gfn, count) ?? new Uint8Array(0),
        readDisk: async (name, offset, length) =>
          guest()
            ?.disks.find((disk) => disk.name === name)
            ?.read(offset, length) ?? new Uint8Array(0),
        kill: async () => guest()?.kill(),
        async restoreTarget() {
          const file = path.join(place, 'restored');
          return {
            location: `file:${file}`,
            async verify(memory) {
              const restored = await loadMachine(file);
              expect(Buffer.compare(restored.read(0, restored.memory.pages), memory)).toBe(0);
              expect(restored.proof().ok).toBe(true);
              expect(restored.hash()).toBe(guest()?.hash());
            },
          };
        },
        dispose: () => rm(place, { recursive: true }),
      };
    },
  });
}
