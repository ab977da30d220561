import { readFile } from 'node:fs/promises';
import { AdapterRegistry, parseMachinePattern } from '@fitdoc/adapters';
import { isFitdocError, withPatience, type FoundMachine } from '@fitdoc/interface';
import { expand } from './expand.js';
import { MemberNames } from './member-names.js';
import { lineOf } from './locate.js';
import type { Configuration } from './schema.js';

/** How long an adapter may take to list machines. */
const PATIENCE_MS = 30_000;

/** What the patterns of a configuration match now, or why that cannot be told: `FILE:LINE: ...`, for people. */
export async function matches(file: string, configuration: Configuration): Promise<string[]> {
  const patterns = Object.keys(configuration.patterns);
  if (patterns.length === 0) return [];
  const text = await readFile(file, 'utf8');
  const registry = new AdapterRegistry();
  await registry.addPackages(configuration.daemon.adapters);
  const found = new Map<string, readonly FoundMachine[]>();
  const failed = new Map<string, string>();
  for (const pattern of patterns) {
    try {
      const place = parseMachinePattern(pattern);
      const look = async (signal: AbortSignal) => registry.machinesAt(place, { signal });
      found.set(pattern, await withPatience(undefined, PATIENCE_MS, look));
    } catch (error) {
      if (!isFitdocError(error)) throw error;
      failed.set(pattern, `${error.message} ${error.hint ?? ''}`.trimEnd());
    }
  }
  const { members, leftOut } = expand(
    configuration,
    (pattern) => found.get(pattern) ?? [],
    new MemberNames(),
  );
  return patterns.flatMap((pattern) => {
    const head = `${file}:${lineOf(text, ['machines', pattern])}: machines."${pattern}"`;
    const why = failed.get(pattern);
    if (why !== undefined) return [`${head}: what it matches cannot be told now: ${why}`];
    const mine = members.filter(({ settings }) => settings.pattern === pattern);
    const names = mine.map(({ name, off }) => (off === undefined ? name : `${name} (does not run)`));
    return [
      `${head} matches ${names.length === 0 ? 'nothing now' : `${names.length} now: ${names.join(', ')}`}`,
      ...leftOut
        .filter((each) => each.pattern === pattern)
        .map(({ name, why: reason }) => `${head} leaves out ${name}: ${reason}`),
    ];
  });
}
