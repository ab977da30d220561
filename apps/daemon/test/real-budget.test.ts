import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import {
  missingForKvm,
  readHeartbeats,
  startGuest,
  waitForHeartbeats,
  type RunningGuest,
} from '../../../tools/lab/src/qemu/index.js';
import type { MachineStatus } from '../src/model.js';
import { Place } from './support/daemon.js';

const kvm = gate('kvm', await missingForKvm());
let place: Place;
const guests: RunningGuest[] = [];

describe.skipIf(kvm.skip)(kvm.title('the pauses of QEMU guests on KVM, on a budget'), () => {
  beforeAll(async () => {
    place = await Place.make();
    for (const name of ['wide', 'tight'])
      guests.push(await startGuest({ accel: 'kvm', machine: 'pc', name }));
  });
  afterAll(async () => {
    await place.remove();
    for (const guest of guests) await guest.stop();
  });

  test('are counted by what became of it, each checkpoint once; the guests go on, and come back at once', async () => {
    const [wide, tight] = guests as [RunningGuest, RunningGuest];
    await place.configure(`
[machines.wide]
location = "kvm:${wide.qmpPath}"
repository = "local"
every = "200ms"
pause-budget = "20s"
pause-budget-over = "refuse"
[machines.tight]
location = "kvm:${tight.qmpPath}"
repository = "local"
every = "200ms"
pause-budget = "0.01ms"
pause-budget-wait = "50ms"
pause-budget-over = "exceed"
`);
    const daemon = await place.start().ready();
    const kept = await daemon.until('wide', ({ checkpoints }) => checkpoints >= 5);
    // The pause of one that is being stored may be counted already.
    const counts = ({ checkpoints }: MachineStatus) =>
      expect.toSatisfy((count) => count === checkpoints || count === checkpoints + 1) as unknown;
    expect(kept.pauseBudget).toEqual({ kept: counts(kept), exceeded: 0, refused: 0 });
    const over = await daemon.until('tight', ({ checkpoints }) => checkpoints >= 5);
    expect(over.pauseBudget).toEqual({ kept: 0, exceeded: counts(over), refused: 0 });
    for (const each of [kept, over]) expect(each.failures).toBe(0);
    for (const { serialPath } of guests) {
      const before = (await readHeartbeats(serialPath)).length;
      const beats = await waitForHeartbeats(serialPath, (found) => found.length >= before + 4);
      expect(beats.every(({ intact }) => intact)).toBe(true);
    }
    // A restore of one of them, by the way.
    const target = await startGuest({ accel: 'kvm', machine: 'pc', name: 'wide', incoming: true });
    guests.push(target);
    const wish = { checkpoint: 'latest', to: `kvm:${target.qmpPath}` };
    const restored = await daemon.job('/v1/machines/wide/restore', wish);
    expect(restored).toMatchObject({
      state: 'done',
      progress: { phase: expect.stringMatching(/^the guest runs; /) as string },
      result: { state: 'running', lazy: { runningMs: expect.any(Number) as number } },
    });
    expect(restored.result).not.toHaveProperty('lazy.asked');
    await waitForHeartbeats(target.serialPath, (beats) => beats.length >= 2);
    expect((await readHeartbeats(target.serialPath)).every(({ intact }) => intact)).toBe(true);
    expect(await daemon.kill('SIGTERM')).toBe(0);
  }, 300_000);
});
