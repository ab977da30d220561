const DAY_MS = 86_400_000;

/** What a local date and time means in the process's zone; moments in milliseconds since 1970. */
export type LocalMoment =
  | { readonly kind: 'one'; readonly atMs: number }
  /** The clocks were set back over it: it came twice. */
  | { readonly kind: 'two'; readonly atMs: number; readonly secondMs: number }
  /** The clocks were set forward over it, at `atMs`: it never was. */
  | { readonly kind: 'none'; readonly atMs: number };

/** `asUtcMs` is the local date and time, taken as if it were UTC. */
export function localMoment(asUtcMs: number): LocalMoment {
  const [before, after] = [asUtcMs - DAY_MS, asUtcMs + DAY_MS];
  const moments = [...new Set([before, after].map((near) => asUtcMs - offsetOf(near)))]
    .filter((moment) => moment + offsetOf(moment) === asUtcMs)
    .sort((one, other) => one - other);
  const [atMs, secondMs] = moments;
  if (atMs === undefined) return { kind: 'none', atMs: changeWithin(before, after) };
  return secondMs === undefined ? { kind: 'one', atMs } : { kind: 'two', atMs, secondMs };
}

/** `+02:00`: how far local time is ahead of UTC at a moment. */
export function zoneOf(moment: number): string {
  const minutes = Math.round(Math.abs(offsetOf(moment)) / 60_000);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${offsetOf(moment) < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

function offsetOf(moment: number): number {
  return -new Date(moment).getTimezoneOffset() * 60_000;
}

function changeWithin(fromMs: number, toMs: number): number {
  let [low, high] = [fromMs, toMs];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetOf(middle) === offsetOf(toMs)) high = middle;
    else low = middle;
  }
  return high;
}
