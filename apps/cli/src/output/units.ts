import { localMoment, zoneOf } from '@fitdoc/repository';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `1.4 MiB`: three significant digits, binary units. */
export function bytes(value: number): string {
  let unit = 0;
  let scaled = value;
  while (scaled >= 1024 && unit < UNITS.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${digits(scaled)} ${UNITS[unit]}`;
}

export function milliseconds(value: number): string {
  if (value < 1000) return `${digits(value)} ms`;
  return duration(value);
}

/** `4.2 s`, `3 min 10 s`, `2 h 5 min`, `4 d 3 h`. */
export function duration(value: number): string {
  const seconds = value / 1000;
  if (seconds < 60) return `${digits(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `12,345`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `3.2 %` of a whole; a dash when the whole is nothing. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? '-' : `${digits((part / whole) * 100)} %`;
}

function digits(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Local date and time to the second: `2026-03-01 14:05:09`; with the zone where that time comes twice. */
export function time(ms: number): string {
  const local = ms - new Date(ms).getTimezoneOffset() * 60_000;
  const text = new Date(local).toISOString().slice(0, 19).replace('T', ' ');
  return localMoment(local).kind === 'two' ? text + zoneOf(ms) : text;
}

/** Captured so far in the future that no two hosts' clocks explain it: some clock was wrong. */
export function isInFuture(ms: number): boolean {
  return ms > Date.now() + 60_000;
}

/** How much of an id is shown: enough to be unique in any repository of a size one reads through. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
