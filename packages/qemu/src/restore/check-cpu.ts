import type { Json } from '@fitdoc/interface';
import type { Findings } from './findings.js';

/**
 * A guest that finds a feature gone which it has seen crashes when it uses it; one more that it never looked
 * for does not disturb it.
 */
export function compareCpuFlags(
  wanted: Json | undefined,
  present: readonly string[],
  { differences, notes }: Findings,
): void {
  // Checkpoints of earlier versions have no flags; a QEMU that lists none cannot be compared with.
  if (typeof wanted !== 'string' || present.length === 0) return;
  const flags = wanted.split(' ').filter((flag) => flag !== '');
  const gone = flags.filter((flag) => !present.includes(flag));
  const added = present.filter((flag) => !flags.includes(flag));
  if (gone.length > 0) differences.push(`CPU flags that are missing: ${gone.join(', ')}`);
  if (added.length > 0)
    notes.push(`The CPUs here have flags that the checkpoint's had not: ${added.join(', ')}.`);
}
