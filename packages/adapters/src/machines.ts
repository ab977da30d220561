import {
  isFitdocError,
  throwIfAborted,
  type FindMachinesOptions,
  type FitdocError,
  type FoundMachine,
  type Hypervisor,
} from '@fitdoc/interface';

/** What one adapter sees on this host. */
export interface FoundByScheme {
  readonly scheme: string;
  readonly machines: readonly FoundMachine[];
  /** Why it sees nothing: this is no such host, or one that may not be asked. */
  readonly absent?: FitdocError;
}

/** An adapter that may have to be loaded first. */
export interface AdapterOfScheme {
  readonly scheme: string;
  readonly load: () => Promise<Hypervisor>;
}

/**
 * Asks adapters for this host's machines, all at once; those that list none are left out. What one of them gives as
 * another's is left to that one where it lists the same. Errors: ABORTED; what is no FitdocError.
 */
export async function machinesOf(
  adapters: readonly AdapterOfScheme[],
  options: FindMachinesOptions = {},
): Promise<FoundByScheme[]> {
  const answers = await Promise.all(adapters.map((adapter) => ask(adapter, options)));
  throwIfAborted(options.signal);
  const all = answers.flatMap((each) => each ?? []);
  const listed = new Set(
    all.flatMap(({ scheme, machines }) => machines.map(({ location }) => `${scheme}:${location ?? ''}`)),
  );
  return all.map((each) => ({
    ...each,
    machines: each.machines.filter(({ elsewhere }) => elsewhere === undefined || !listed.has(elsewhere)),
  }));
}

async function ask(
  { scheme, load }: AdapterOfScheme,
  options: FindMachinesOptions,
): Promise<FoundByScheme | undefined> {
  try {
    const hypervisor = await load();
    if (hypervisor.supports.machines !== true) return undefined;
    return { scheme, machines: (await hypervisor.machines?.(options)) ?? [] };
  } catch (error) {
    if (!isFitdocError(error) || options.signal?.aborted === true) throw error;
    return { scheme, machines: [], absent: error };
  }
}
