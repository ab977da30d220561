import type { RetentionPolicy } from '@fitdoc/repository';

/** The names of the configuration's rules, and of the repository's. */
const RULES = {
  'keep-last': 'keepLast',
  'keep-hourly': 'keepHourly',
  'keep-daily': 'keepDaily',
  'keep-weekly': 'keepWeekly',
  'keep-monthly': 'keepMonthly',
  'keep-yearly': 'keepYearly',
  'keep-within': 'keepWithinMs',
  'keep-all-for': 'keepAllForMs',
  'keep-minutely-for': 'keepMinutelyForMs',
  'keep-hourly-for': 'keepHourlyForMs',
  'keep-daily-for': 'keepDailyForMs',
  'keep-weekly-for': 'keepWeeklyForMs',
  'keep-monthly-for': 'keepMonthlyForMs',
  'keep-yearly-for': 'keepYearlyForMs',
} as const satisfies Record<string, keyof RetentionPolicy>;

type Rules = { readonly [rule in keyof typeof RULES]?: number | undefined };

/** The rules of the configuration as the repository takes them. */
export function retentionPolicy(rules: Rules): RetentionPolicy {
  const given = Object.entries(RULES).flatMap(([name, rule]) => {
    const value = rules[name as keyof Rules];
    return value === undefined ? [] : [[rule, value] as const];
  });
  return Object.fromEntries(given);
}
