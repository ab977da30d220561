import type { RetentionPolicy } from '@fitdoc/repository';
import type { RetentionRules } from '../config/schema.js';

/** The rules of the configuration as the repository takes them. */
export function retentionPolicy(rules: RetentionRules): RetentionPolicy {
  const entries = {
    keepLast: rules['keep-last'],
    keepHourly: rules['keep-hourly'],
    keepDaily: rules['keep-daily'],
    keepWeekly: rules['keep-weekly'],
    keepMonthly: rules['keep-monthly'],
    keepWithinMs: rules['keep-within'],
  };
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}
