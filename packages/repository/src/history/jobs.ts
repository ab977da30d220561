import { stateOf, type CheckpointEntry } from '../catalogue/entry.js';
import { lastFirst } from '../catalogue/order.js';
import type { Rung } from './rungs.js';
import type { JobTree, StateNode } from './state-tree.js';
import { MOST_INPUTS, type Level, type MergeJob } from './types.js';

/** Whether one object joins two states already. */
export function isJoined(from: StateNode | undefined, to: StateNode, tree: JobTree): boolean {
  return to.objects.some(({ parentContentHash }) =>
    parentContentHash === undefined ? !from : tree.at(parentContentHash) === from && from !== undefined,
  );
}

/** The job that joins two states by one object, or jobs for pieces of the way where that is too long for one. */
export function jobsBetween(
  tree: JobTree,
  from: StateNode | undefined,
  to: StateNode,
  role: MergeJob['role'],
  level: string,
): MergeJob[] {
  const path = tree.between(from, to);
  if (!path || path.length < 2) return [];
  if (path.length <= MOST_INPUTS) {
    return [{ role, level, to: to.face, parent: from && stateOf(from.face), path }];
  }
  // A base of a long way is made of a short cut over it, next time.
  const increments = from ? path : path.slice(1);
  return pieces(tree, from ?? tree.at(path[0]!.contentHash)!, increments, level);
}

/** Merges of each so many of a way's objects: what is left of it is short enough for one. */
function pieces(tree: JobTree, from: StateNode, path: readonly CheckpointEntry[], level: string): MergeJob[] {
  const jobs: MergeJob[] = [];
  let parent = stateOf(from.face);
  for (let at = 0; at < path.length; at += MOST_INPUTS) {
    const part = path.slice(at, at + MOST_INPUTS);
    const to = tree.at(part.at(-1)!.contentHash)!;
    if (part.length > 1) jobs.push({ role: 'merged', level, to: to.face, parent, path: part });
    parent = stateOf(to.face);
  }
  return jobs;
}

/** The jobs of rungs, level by level: those of the next are made of what these give. The newest of each first. */
export function jobsOfRungs(tree: JobTree, levels: readonly Level[], rungs: readonly Rung[]): MergeJob[] {
  return levels.flatMap((level) =>
    rungs
      .filter((rung) => rung.level === level)
      .sort((one, other) => lastFirst(one.to.face, other.to.face))
      .flatMap((rung) => jobsOfRung(tree, rung)),
  );
}

function jobsOfRung(tree: JobTree, { level, from, to, half }: Rung): MergeJob[] {
  if (isJoined(from, to, tree)) return [];
  return jobsBetween(tree, from, to, 'shortcut', half ? `half ${level.name}` : level.name);
}
