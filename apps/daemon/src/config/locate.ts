/**
 * The line (from 1) in a TOML text on which the value at `path` is written, or that of the closest table around
 * it. The parser gives no positions, and an operator wants the line.
 */
export function lineOf(text: string, path: readonly PropertyKey[]): number {
  const lines = text.split('\n');
  let best = 1;
  let bestDepth = -1;
  let table: string[] = [];
  lines.forEach((line, index) => {
    const header = /^\s*\[+\s*([^\]]+?)\s*\]+/.exec(line);
    if (header) table = keysOf(header[1] ?? '');
    const key = header ? undefined : /^\s*([^=#]+?)\s*=/.exec(line)?.[1];
    const here = key === undefined ? table : [...table, ...keysOf(key)];
    if (!header && key === undefined) return;
    // What lies below the path shows where its table begins, when nothing else does.
    const depth = Math.min(here.length, path.length);
    if (depth <= bestDepth || here.slice(0, depth).some((part, at) => part !== String(path[at]))) return;
    best = index + 1;
    bestDepth = depth;
  });
  return best;
}

function keysOf(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|([^.\s]+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}
