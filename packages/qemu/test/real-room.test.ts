import { afterEach, describe, expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import {
  bareMetal,
  boot,
  isRunning,
  Protected,
  proveRestored,
  stopGuests,
  withoutKvm,
} from './support/real.js';

afterEach(stopGuests);

describe.skipIf(withoutKvm)('a sink that needs time to make room', () => {
  test('gets it while the guest runs; without room its pages come while the guest runs', async () => {
    const guest = await boot(bareMetal());
    const machine = await hypervisor.attach(guest.qmpPath);
    const protection = new Protected(machine);
    const { memory } = protection;
    const asked: number[] = [];
    let room = true;
    const prepare = async (pages: number): Promise<boolean> => {
      asked.push(pages);
      expect(await isRunning(guest)).toBe(true);
      return room;
    };
    Object.assign(memory, { prepare });
    const kinds: string[] = [];
    for (let turn = 0; turn < 5; turn++) {
      room = turn !== 3;
      const { kind, notes } = await protection.capture();
      kinds.push(kind);
      if (!room) expect(notes.join()).toMatch(/read while it ran/);
    }
    expect(kinds).toEqual(['full', 'increment', 'increment', 'full', 'increment']);
    // Not for the two that were to be full, and more once it was seen what an increment brings.
    expect(asked).toHaveLength(4);
    expect(asked[1]).toBeGreaterThan(asked[0]!);
    const kept = await protection.keep();
    await machine.detach();
    await proveRestored(guest, kept);
  }, 300_000);
});
