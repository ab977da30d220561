import { FitdocError } from '@fitdoc/interface';

/** The stretches of time that rules speak of, finest first. */
export const BUCKETS = ['minute', 'hour', 'day', 'week', 'month', 'year'] as const;
export type Bucket = (typeof BUCKETS)[number];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** About how long one lasts, in milliseconds: exact up to the week but for changes of daylight saving. */
export const BUCKET_MS: Readonly<Record<Bucket, number>> = {
  minute: MINUTE,
  hour: HOUR,
  day: DAY,
  week: 7 * DAY,
  month: 30 * DAY,
  year: 365 * DAY,
};

/** Zones change their offset at whole quarters of an hour only. */
const QUARTER = 15 * MINUTE;
const MOST_KNOWN = 50_000;

/** Times as a zone's clocks on the wall show them. */
export class Calendar {
  readonly #format: Intl.DateTimeFormat;
  readonly #offsets = new Map<number, number>();

  /** ARGUMENT_INVALID for a zone that there is not. */
  constructor(timeZone: string | undefined) {
    try {
      this.#format = new Intl.DateTimeFormat('en-US', {
        ...(timeZone === undefined ? {} : { timeZone }),
        calendar: 'gregory',
        numberingSystem: 'latn',
        hourCycle: 'h23',
        ...{ year: 'numeric', month: 'numeric', day: 'numeric' },
        ...{ hour: 'numeric', minute: 'numeric', era: 'short' },
      });
    } catch (error) {
      throw new FitdocError('ARGUMENT_INVALID', `There is no time zone ${timeZone}.`, {
        cause: error,
        hint: 'Use a name like Europe/Berlin or UTC.',
      });
    }
  }

  /** Milliseconds that clocks on the wall have run since 1970 began on them. */
  local(milliseconds: number): number {
    const quarter = Math.floor(milliseconds / QUARTER);
    let offset = this.#offsets.get(quarter);
    if (offset === undefined) {
      if (this.#offsets.size >= MOST_KNOWN) this.#offsets.clear();
      offset = this.#offsetAt(quarter * QUARTER);
      this.#offsets.set(quarter, offset);
    }
    return milliseconds + offset;
  }

  /** A number for the bucket that a time falls into; those of one kind rise with the time on the wall. */
  bucket(kind: Bucket, milliseconds: number): number {
    const local = this.local(milliseconds);
    switch (kind) {
      case 'minute':
      case 'hour':
      case 'day':
        return Math.floor(local / BUCKET_MS[kind]);
      case 'week':
        // 1970 began on a Thursday; weeks begin on Mondays.
        return Math.floor((Math.floor(local / DAY) + 3) / 7);
      case 'month':
      case 'year': {
        const date = new Date(local);
        const years = date.getUTCFullYear();
        return kind === 'year' ? years : years * 12 + date.getUTCMonth();
      }
    }
  }

  #offsetAt(milliseconds: number): number {
    const parts = new Map(this.#format.formatToParts(milliseconds).map(({ type, value }) => [type, value]));
    const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type) ?? 0);
    const shown = new Date(0);
    shown.setUTCFullYear(part('year'), part('month') - 1, part('day'));
    shown.setUTCHours(part('hour'), part('minute'));
    return parts.get('era') === 'BC' ? 0 : shown.getTime() - milliseconds;
  }
}
