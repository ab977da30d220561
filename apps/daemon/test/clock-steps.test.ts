import { describe, expect } from 'vitest';
import { missingForFaketime, SettableClock } from '../../../tools/lab/src/faketime/index.js';
import { gate } from '../../../tools/lab/src/gate.js';
import { mock, type Running } from './support/daemon.js';
import { test } from './support/test.js';

const HOUR = 3600;
const YEARS = 5 * 365 * 24 * HOUR;
const faketime = gate('faketime', await missingForFaketime());
const LONG = { timeout: 240_000, skip: faketime.skip };

async function age(daemon: Running): Promise<number> {
  const { text } = await daemon.request('/metrics');
  return Number(/^fitdoc_last_success_age_seconds\{vm="a"\} (\S+)$/m.exec(text)?.[1]);
}

describe.concurrent(faketime.title('fitdocd under a clock that is set'), () => {
  for (const [name, schedule] of [
    ['an interval', 'every = "300ms"'],
    ['a cron pattern', 'cron = "*/2 * * * * *"'],
  ] as const) {
    const title = `goes on by ${name}: back an hour, ahead to 2031, and back; it neither waits nor hurries, and its ages hold`;
    test(title, LONG, async ({ place }) => {
      const clock = await SettableClock.make(place.file('clock'));
      await place.configure(mock('a', schedule));
      const daemon = await place.start(clock.env).ready();
      let taken = (await daemon.until('a', (machine) => machine.checkpoints >= 2)).checkpoints;
      for (const seconds of [-HOUR, YEARS, 0]) {
        await clock.set(seconds);
        // Waiting for the clock to come round again, these would not come.
        const machine = await daemon.until('a', (now) => now.checkpoints >= taken + 3);
        taken = machine.checkpoints;
        expect(await age(daemon)).toBeLessThan(HOUR / 4);
        expect(machine.successAgeMs).toBeGreaterThanOrEqual(0);
        // A step over years leaves out nothing, and what is left out is not caught up.
        expect(machine.missed).toBeLessThan(HOUR);
      }
      const timeline = await daemon.timeline('a');
      timeline.slice(1).forEach((entry, index) => expect(entry.parent).toBe(timeline[index]?.id));
      // What the clock in 2031 dated is neither the last nor in the way.
      expect(Date.parse(timeline.at(-1)!.capturedAt)).toBeLessThan(Date.now() + HOUR * 1000);
      expect(await daemon.kill('SIGTERM')).toBe(0);
      const again = await place.start().ready();
      await again.until('a', (machine) => machine.checkpoints >= 1);
      const after = await again.timeline('a');
      expect(after[timeline.length]?.parent).toBe(after[timeline.length - 1]?.id);
    });
  }
});
