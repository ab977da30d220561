import type { TimelinePoint } from '../state/state.js';

/** For each checkpoint the number of checkpoints that its restore reads; none where the base is not among them. */
export function chainDepths(points: readonly TimelinePoint[]): ReadonlyMap<string, number> {
  const depths = new Map<string, number>();
  for (const { id, parent } of points) {
    const before = parent === null ? 0 : depths.get(parent);
    if (before !== undefined) depths.set(id, before + 1);
  }
  return depths;
}
