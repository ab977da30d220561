const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const grouped = new Intl.NumberFormat('en-GB');

/** 1536 is `1.50 KiB`. */
export function bytes(value: number): string {
  let unit = 0;
  let scaled = value;
  while (scaled >= 1023.5 && unit < UNITS.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return `${significant(scaled, unit === 0)} ${UNITS[unit]}`;
}

export function count(value: number): string {
  return grouped.format(value);
}

export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A pause: `2.4 ms`, `180 µs`, `1.25 s`. */
export function milliseconds(value: number): string {
  if (value >= 1000) return `${significant(value / 1000)} s`;
  if (value > 0 && value < 1) return `${Math.round(value * 1000)} µs`;
  return `${significant(value)} ms`;
}

/** A span of time in its largest unit: `45 s`, `12 min`, `3 h`, `2 d`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** A moment that lies in the future by the daemon's clock was told by another one: no age is negative. */
export function ago(iso: string, now: number): string {
  return age(now - Date.parse(iso));
}

/** How long ago: `just now`, `45 s ago`. */
export function age(ms: number): string {
  return ms < 1500 ? 'just now' : `${span(ms)} ago`;
}

const full = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });
const today = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** With the zone, for who wants to know exactly. */
export function exactTime(iso: string): string {
  return full.format(new Date(iso));
}

/** The time of day, and the day where it is another one. */
export function timeOfDay(iso: string, now: number): string {
  const date = new Date(iso);
  const time = today.format(date);
  return new Date(now).toDateString() === date.toDateString() ? time : `${day.format(date)}, ${time}`;
}

export function shortDay(date: Date): string {
  return day.format(date);
}

/** As much of an id as people compare; the whole is a tooltip. */
export function shortId(id: string): string {
  return id.slice(0, 10);
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return '0 %';
  const value = (100 * part) / whole;
  return value > 0 && value < 0.1 ? '< 0.1 %' : `${significant(value)} %`;
}

function significant(value: number, whole = false): string {
  if (whole || value >= 100 || Number.isInteger(value)) return count(Math.round(value));
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
