import { expect, it } from 'vitest';
import { endLog } from '../src/direct/guard/end-log.js';
import { FakeDomain } from './fake-domain.js';

const PAGES = 64;
const WRITTEN = 5;

/** A domain that is captured, and what its device model says of its own writes. */
function captured() {
  const domain = new FakeDomain(PAGES);
  domain.enableLog();
  let logsWrites = true;
  /** The toolstack begins a save as libxc does, and the guest writes to a page that it has sent already. */
  const save = () => {
    if (!domain.enableLog()) domain.startLog();
    logsWrites = true;
    domain.write(WRITTEN, 1);
  };
  return {
    ...{ domain, save },
    logWrites: (enable: boolean) => void (logsWrites = enable),
    logsWrites: () => logsWrites,
  };
}

it('ends the log of a domain that nobody saves', () => {
  const { domain, logWrites, logsWrites } = captured();
  endLog(domain.control, logWrites, () => false);
  expect([domain.log, logsWrites()]).toEqual([false, false]);
});

it.each([
  ['before it was looked', ['look']],
  ['between the look and the end of the log', ['stopLog']],
  ['between the two logs', ['logWrites']],
  ['while the log was off', ['look', 'look']],
])('leaves every page that was written in the log of a save that began %s', (_when, moments) => {
  const { domain, save, logWrites, logsWrites } = captured();
  const left = [...moments];
  let saved = false;
  const at = (moment: string) => {
    if (left[0] !== moment) return;
    left.shift();
    if (left.length > 0) return;
    saved = true;
    save();
  };
  const stopLog = domain.stopLog.bind(domain);
  domain.stopLog = () => {
    at('stopLog');
    stopLog();
  };
  endLog(
    domain.control,
    (enable) => {
      at('logWrites');
      logWrites(enable);
    },
    () => {
      at('look');
      return saved;
    },
  );
  expect(saved).toBe(true);
  expect([domain.log, logsWrites()]).toEqual([true, true]);
  expect([...domain.dirty]).toContain(WRITTEN);
});
