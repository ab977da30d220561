import type { Package } from './workspace.js';

/**
 * Circles among packages, those through devDependencies included: such packages could not be built in any
 * order. Each is given once, from one of its packages back to it.
 */
export function findCycles(packages: readonly Package[]): string[][] {
  const byName = new Map(packages.map((each) => [each.name, each]));
  const done = new Set<string>();
  const cycles: string[][] = [];
  const visit = (name: string, trail: readonly string[]): void => {
    const start = trail.indexOf(name);
    if (start >= 0) {
      cycles.push([...trail.slice(start), name]);
      return;
    }
    const current = byName.get(name);
    if (!current || done.has(name)) return;
    for (const next of [...current.dependencies, ...current.devDependencies]) visit(next, [...trail, name]);
    done.add(name);
  };
  for (const { name } of packages) visit(name, []);
  return cycles;
}
