import { FitdocError } from '@fitdoc/interface';
import { localMoment, zoneOf } from './local-time.js';

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const RELATIVE = /^-(\d{1,9})([smhdw])$/;
const ABSOLUTE =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3})\d*)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * A point in time, in milliseconds since 1970: `2026-03-01`, `2026-03-01T10:00`, `2026-03-01 10:00:30.5+02:00`,
 * or how long ago, `-90s`, `-5m`, `-2h`, `-1d`, `-1w`. Without a zone it is local time; a date alone is the
 * start of that day. A local time that comes twice, because the clocks are set back, means the first; one that never
 * comes means the moment at which they are set forward; `onNote` is told so. Undefined for text of another shape;
 * ARGUMENT_INVALID for a date that does not exist.
 */
export function parseTime(
  text: string,
  nowMs: number,
  onNote: (note: string) => void = () => undefined,
): number | undefined {
  const relative = RELATIVE.exec(text);
  if (relative) return nowMs - Number(relative[1]) * UNITS[relative[2]!]!;
  const match = ABSOLUTE.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const millisecond = Number((match[7] ?? '').padEnd(3, '0'));
  const utc = Date.UTC(year!, month! - 1, day, hour, minute, second, millisecond);
  const date = new Date(utc);
  const exists =
    date.getUTCMonth() === month! - 1 &&
    date.getUTCDate() === day &&
    hour! < 24 &&
    minute! < 60 &&
    second! < 60;
  if (!exists) {
    throw new FitdocError('ARGUMENT_INVALID', `There is no such time: ${text}.`, {
      hint: 'Write it as 2026-03-01T10:00:00, with Z or +02:00 behind it for a zone other than the local one.',
    });
  }
  return zoned(utc, match[8]) ?? local(text, utc, onNote);
}

function local(text: string, utc: number, onNote: (note: string) => void): number {
  const moment = localMoment(utc);
  if (moment.kind === 'two') {
    const [first, second] = [zoneOf(moment.atMs), zoneOf(moment.secondMs)];
    onNote(
      `${text} comes twice, the clocks are set back: taken as the first, ${first}; write ${second} for the second.`,
    );
  }
  if (moment.kind === 'none') {
    const change = new Date(moment.atMs).toISOString();
    onNote(`${text} never comes, the clocks are set forward over it: taken as that moment, ${change}.`);
  }
  return moment.atMs;
}

function zoned(utc: number, zone: string | undefined): number | undefined {
  if (zone === undefined) return undefined;
  if (zone === 'Z') return utc;
  const sign = zone.startsWith('-') ? 1 : -1;
  return utc + sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2))) * 60_000;
}
