import type { Row } from '../section.js';
import { median } from '../timing.js';
import type { Samples } from './qemu-rounds.js';
import { mean, quantile } from './statistics.js';

const SAVE = "QEMU's full save";
const PLAIN = 'all dirty pages, plain (Remus)';
const DRAIN = 'COLO, receiver only drains';

/** What a guest's figures have to reach: those of memory do not suit one whose memory is nearly empty. */
export type Targets = 'all' | 'pause';

/** One guest's figures. Times and bytes are medians of all checkpoints. */
export function qemuRows(guest: string, samples: Samples, targets: Targets): Row[] {
  const { saves, increments, drained } = samples;
  const pauses = increments.map(({ pauseMs }) => pauseMs);
  const row = (name: string, variant: string, value: number, unit: string): Row => {
    return { name: `${guest}: ${name}`, variant, value, unit };
  };
  const against = (base: Row, given: Row, atMost?: number): Row => {
    const ratio = given.value / base.value;
    const target = atMost === undefined ? {} : { target: { of: 'ratio', atMost } as const };
    return { ...given, ratio, ratioTo: base.variant, ...target };
  };
  const all = targets === 'all';
  const saveTime = row('time until durable', SAVE, median(saves.map((save) => save.timeMs)), 'ms');
  const plainTime = row('time until durable', PLAIN, median(increments.map((i) => i.plain.timeMs)), 'ms');
  const time = row('time until durable', 'fitdoc', median(increments.map((i) => i.timeMs)), 'ms');
  const best = row(
    'time until durable',
    'fitdoc, shortest',
    Math.min(...increments.map((i) => i.timeMs)),
    'ms',
  );
  const saveBytes = row('bytes', SAVE, median(saves.map((save) => save.bytes)), 'B');
  const plainBytes = row('bytes', PLAIN, mean(increments.map((i) => i.plain.bytes)), 'B');
  const bytes = row('bytes', 'fitdoc', mean(increments.map((i) => i.bytes)), 'B');
  const rows = [
    saveTime,
    against(saveTime, plainTime),
    against(saveTime, time, all ? 0.05 : undefined),
    against(saveTime, best),
    saveBytes,
    against(saveBytes, plainBytes),
    against(plainBytes, bytes, all ? 0.15 : undefined),
  ];
  // On KVM nothing of ours is left in a pause; emulated, saving the devices waits for the emulator's own threads.
  for (const [name, share, atMost] of [
    ['pause p50', 0.5, all ? 1.1 : 1],
    ['pause p90', 0.9, undefined],
    ['pause p99', 0.99, all ? 1 : 0.5],
    ['longest pause', 1, undefined],
  ] as const) {
    const least = row(
      name,
      DRAIN,
      quantile(
        drained.map(({ pauseMs }) => pauseMs),
        share,
      ),
      'ms',
    );
    const saved = row(
      name,
      SAVE,
      quantile(
        saves.map(({ pauseMs }) => pauseMs),
        share,
      ),
      'ms',
    );
    const paused = quantile(pauses, share);
    rows.push(saved, least, against(least, row(name, 'the same pause, plain pages', paused, 'ms')));
    rows.push(against(least, row(name, 'fitdoc', paused, 'ms'), atMost));
  }
  const drainedPages = drained.slice(1).map(({ bytesBefore }) => bytesBefore / 4104);
  rows.push(row('dirty pages', 'COLO, receiver only drains, about', median(drainedPages), 'pages'));
  rows.push(row('dirty pages', 'fitdoc', median(increments.map((i) => i.dirtyPages)), 'pages'));
  rows.push(row('unchanged pages', 'fitdoc', median(increments.map((i) => i.unchangedPages)), 'pages'));
  rows.push(row('changed words', 'fitdoc', median(increments.map((i) => i.changedWords)), 'words'));
  rows.push(row('of that time', 'capture', median(increments.map((i) => i.captureMs)), 'ms'));
  rows.push(row('of that time', 'compare', median(increments.map((i) => i.diffMs)), 'ms'));
  return rows;
}
