import type { CallOptions, Gfn, PageRun } from '@fitdoc/interface';
import type { Repository } from '@fitdoc/repository';

const NAME = 'asked.json';
/** Pages that are remembered of a machine. */
const MOST = 4096;

/**
 * What guests of a machine waited for when they ran before their memory was there: sent first, the next does not wait for
 * it. Only an order: what is missing or cannot be read leaves it to the guest to ask.
 */
export async function askedBefore(
  repository: Repository,
  machine: string,
  pages: number,
  options: CallOptions,
): Promise<PageRun[]> {
  const asked = await read(repository, machine, options).catch(() => []);
  return asked.filter((gfn) => gfn < pages).map((start) => ({ start, count: 1 }));
}

/** Adds what a guest waited for, though what it was sent first was sent: that stays remembered, behind it. */
export async function rememberAsked(
  repository: Repository,
  machine: string,
  asked: readonly Gfn[],
  options: CallOptions,
): Promise<void> {
  if (asked.length === 0) return;
  const before = await read(repository, machine, options);
  const gfns = [...new Set([...asked, ...before])].slice(0, MOST);
  const text = JSON.stringify({ version: 1, gfns });
  await repository.derived.put(machine, NAME, new TextEncoder().encode(text), options);
}

async function read(repository: Repository, machine: string, options: CallOptions): Promise<Gfn[]> {
  const bytes = await repository.derived.get(machine, NAME, options);
  if (!bytes) return [];
  const kept = parsed(new TextDecoder().decode(bytes));
  if (kept?.version !== 1 || !Array.isArray(kept.gfns)) return [];
  return kept.gfns
    .filter((gfn): gfn is number => Number.isSafeInteger(gfn) && Number(gfn) >= 0)
    .slice(0, MOST);
}

function parsed(text: string): { readonly version?: unknown; readonly gfns?: unknown } | undefined {
  try {
    return JSON.parse(text) as { version?: unknown; gfns?: unknown };
  } catch {
    return undefined;
  }
}
