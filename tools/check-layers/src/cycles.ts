import path from 'node:path';
import type { Package } from './workspace.js';

/**
 * Circles among packages, those through devDependencies included: such packages could not be built in any
 * order.
 */
export function findCycles(packages: readonly Package[]): string[][] {
  return circles(
    new Map(
      packages.map(({ name, dependencies, devDependencies }) => [
        name,
        [...dependencies, ...devDependencies],
      ]),
    ),
  );
}

/** Circles among the files of a package, imports of types included: such files are one idea, or wrongly cut. */
export function findFileCycles({ directory, sources }: Package): string[][] {
  const files = new Set(sources.map(({ file }) => file));
  return circles(
    new Map(
      sources.map(({ file, imports }) => [
        file,
        imports
          .filter((specifier) => specifier.startsWith('.'))
          .map((specifier) =>
            path.relative(directory, path.resolve(directory, path.dirname(file), specifier)),
          )
          .flatMap((reached) => sourceOf(reached, files)),
      ]),
    ),
  );
}

/** `src/a.js`, as it is imported, is written as one of these. */
function sourceOf(reached: string, files: ReadonlySet<string>): string[] {
  const stem = reached.replace(/\.[cm]?jsx?$/, '');
  return [reached, `${stem}.ts`, `${stem}.tsx`].filter((file) => files.has(file));
}

/** Each circle is given once, from one of its nodes back to it. */
function circles(targets: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const cycles: string[][] = [];
  const visit = (name: string, trail: readonly string[]): void => {
    const start = trail.indexOf(name);
    if (start >= 0) {
      cycles.push([...trail.slice(start), name]);
      return;
    }
    if (done.has(name)) return;
    for (const next of targets.get(name) ?? []) visit(next, [...trail, name]);
    done.add(name);
  };
  for (const name of targets.keys()) visit(name, []);
  return cycles;
}
