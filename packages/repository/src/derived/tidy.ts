import type { CallOptions } from '@fitdoc/interface';
import type { Catalogue } from '../catalogue/catalogue.js';
import { stateOf } from '../catalogue/entry.js';
import type { Derived } from './derived.js';

/** After a removal: findings about states that are gone go, too. Where that fails, the next one does it. */
export async function tidyDerived(
  derived: Derived,
  catalogue: Catalogue,
  machine: string,
  options: CallOptions,
): Promise<void> {
  const call = options.signal ? { signal: options.signal } : {};
  const states = async (): Promise<Set<string>> => {
    const entries = await catalogue.listIntact({ machine, ...call });
    return new Set(entries.flatMap((entry) => [stateOf(entry), ...(entry.supersedes ?? [])]));
  };
  await derived.keepOnly(machine, states, call).catch(() => undefined);
}
