const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** All for 2 h, one a minute for 2 d, hourly for 14 d, daily for a year. */
export const POLICY = {
  ...{ keepAllForMs: 2 * HOUR, keepMinutelyForMs: 2 * DAY },
  ...{ keepHourlyForMs: 14 * DAY, keepDailyForMs: 365 * DAY },
  timeZone: 'UTC',
};
