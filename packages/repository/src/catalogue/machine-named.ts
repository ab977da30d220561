import { FitdocError, type CallOptions } from '@fitdoc/interface';
import type { MachineEntry } from './machines.js';

/** The id of a machine of a repository, by that or by its name. CHECKPOINT_NOT_FOUND, CHECKPOINT_AMBIGUOUS; the store's. */
export async function machineNamed(
  repository: { machines(options?: CallOptions): Promise<MachineEntry[]> },
  name: string,
  { signal }: CallOptions = {},
): Promise<string> {
  const machines = await repository.machines(signal ? { signal } : {});
  if (machines.some(({ id }) => id === name)) return name;
  const named = machines.filter((machine) => machine.name === name);
  if (named.length === 1) return named[0]!.id;
  const candidates = named.length > 0 ? named : machines;
  throw new FitdocError(
    named.length > 0 ? 'CHECKPOINT_AMBIGUOUS' : 'CHECKPOINT_NOT_FOUND',
    named.length > 0
      ? `${named.length} machines are named ${name}.`
      : `The repository has no machine ${name}.`,
    {
      hint: `There are: ${candidates.map(({ id, name: known }) => (id === known ? id : `${id} (${known})`)).join(', ') || 'none'}.`,
      details: { candidates: candidates.map(({ id }) => id) },
    },
  );
}
