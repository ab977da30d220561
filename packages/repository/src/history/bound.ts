import { relax, type Way } from '../catalogue/cheapest.js';
import { stateOf } from '../catalogue/entry.js';
import { jobsBetween } from './jobs.js';
import type { StateNode, StateTree } from './state-tree.js';
import { PLANNED_OBJECTS, type MergeJob } from './types.js';

/** Where a short cut for the bound begins: with as much room behind it as before it. */
const START_OBJECTS = PLANNED_OBJECTS / 2;

/**
 * Short cuts for what no rung bounds: irregular intervals, forks of old states, many pinned ones. Looks at the ways as
 * they will be once `jobs` are done, from the oldest up, and cuts each that is still too long.
 */
export function boundJobs(
  tree: StateTree,
  needed: ReadonlySet<StateNode>,
  jobs: readonly MergeJob[],
): MergeJob[] {
  const coming = new Map<string, MergeJob[]>();
  for (const job of jobs) coming.set(job.to.contentHash, [...(coming.get(job.to.contentHash) ?? []), job]);
  const ways = new Map<string, Way>();
  const more: MergeJob[] = [];
  const expect = ({ to, parent, path }: MergeJob): void => {
    const bytes = path.reduce((sum, entry) => sum + entry.bytes, 0);
    const { parentContentHash: _, ...rest } = to;
    relax(ways, { ...rest, bytes, ...(parent === undefined ? {} : { parentContentHash: parent }) });
  };
  const objectsOf = (node: StateNode) => ways.get(stateOf(node.face))?.objects ?? Infinity;
  for (const node of tree.nodes) {
    for (const entry of node.objects) relax(ways, entry);
    for (const job of coming.get(node.face.contentHash) ?? []) expect(job);
    if (!needed.has(node) || objectsOf(node) <= PLANNED_OBJECTS) continue;
    let from = node.parent;
    while (from && objectsOf(from) > START_OBJECTS) from = from.parent;
    for (const job of from ? jobsBetween(tree, from, node, 'shortcut', 'bound') : []) {
      more.push(job);
      expect(job);
    }
  }
  return more;
}
