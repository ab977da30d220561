import {
  FitdocError,
  type CallOptions,
  type FindMachinesOptions,
  type FoundMachine,
  type Hypervisor,
  type OpenStoreOptions,
  type Store,
  type StoreFactory,
} from '@fitdoc/interface';
import type { Adapter } from './adapter.js';
import { BUILT_IN } from './built-in.js';
import { exported, importByName, unloadable } from './load.js';
import { parseLocation } from './location.js';
import { machinesOf, type FoundByScheme } from './machines.js';
import type { MachinePattern } from './pattern.js';

export interface FoundHypervisor {
  readonly hypervisor: Hypervisor;
  /** The location without its scheme, for `attach` and `restore`. */
  readonly rest: string;
}

/** Schemes and their adapters. Nothing is loaded before a location asks for it. */
export class AdapterRegistry {
  readonly #adapters = new Map<string, Adapter>();

  /** A registry of the given adapters; without them, of all that fitdoc has. */
  constructor(adapters: readonly Adapter[] = BUILT_IN) {
    for (const adapter of adapters) this.add(adapter);
  }

  /** The adapters, in the order in which they were added. */
  get adapters(): readonly Adapter[] {
    return [...this.#adapters.values()];
  }

  /** Adds an adapter. A scheme that is taken: CONFIG_INVALID. */
  add(adapter: Adapter): void {
    const taken = this.#adapters.get(adapter.scheme);
    if (taken) {
      throw new FitdocError(
        'CONFIG_INVALID',
        `Both ${taken.packageName} and ${adapter.packageName} claim the scheme "${adapter.scheme}".`,
        { hint: 'Configure one of the two.' },
      );
    }
    this.#adapters.set(adapter.scheme, adapter);
  }

  /**
   * Loads packages that others wrote and adds the adapters that they export, under their own schemes. The
   * names must come from the operator's configuration, never from a request: importing a package runs it.
   * They are looked up beside this package and then from `from`, a directory (default: the current one).
   * Errors: CONFIG_INVALID.
   */
  async addPackages(packageNames: readonly string[], from: string = process.cwd()): Promise<void> {
    for (const packageName of packageNames) {
      const module = await importByName(packageName, from);
      const load = async () => module;
      const found = (['store', 'hypervisor'] as const).filter((kind) => exported(module, kind));
      if (found.length === 0) {
        throw new FitdocError('CONFIG_INVALID', `The package ${packageName} exports no adapter.`, {
          hint: 'An adapter exports "storeFactory" (store-v1) or "hypervisor" (hypervisor-v1).',
        });
      }
      for (const kind of found) {
        const scheme = exported(module, kind)?.scheme ?? '';
        this.add({ kind, scheme, packageName, load });
      }
    }
  }

  /**
   * Opens the store at `scheme:location` or at a path. Errors besides the store's own: LOCATION_UNKNOWN when
   * no store has the scheme, CAPABILITY_MISSING when its package is not installed.
   */
  async openStore(location: string, options?: OpenStoreOptions): Promise<Store> {
    const { scheme, rest } = parseLocation(location);
    const factory = (await this.#load('store', scheme, location)) as StoreFactory;
    return factory.open(rest, options);
  }

  /** The hypervisor of `scheme:location`. Errors: as of `openStore`. */
  async hypervisorFor(location: string): Promise<FoundHypervisor> {
    const { scheme, rest } = parseLocation(location);
    return { hypervisor: (await this.#load('hypervisor', scheme, location)) as Hypervisor, rest };
  }

  /** The machines of this host, by the adapters that can list them. Errors: ABORTED. */
  async findMachines(options?: FindMachinesOptions): Promise<FoundByScheme[]> {
    const adapters = this.adapters.filter(({ kind }) => kind === 'hypervisor');
    return machinesOf(
      adapters.map(({ scheme }) => ({
        scheme,
        load: async () => (await this.#load('hypervisor', scheme, `${scheme}:`)) as Hypervisor,
      })),
      options,
    );
  }

  /**
   * The machines that a pattern's adapter lists where the pattern says, all of them. Errors: LOCATION_UNKNOWN;
   * CAPABILITY_MISSING where it cannot list them unnoticed, or the host is none of its; ABORTED; the adapter's own.
   */
  async machinesAt(
    { scheme, place }: MachinePattern,
    options: CallOptions = {},
  ): Promise<readonly FoundMachine[]> {
    const hypervisor = await this.#lister(scheme);
    return (await hypervisor.machines?.({ ...options, ...(place !== undefined && { place }) })) ?? [];
  }

  /** Sees that a pattern's adapter can list machines. Errors: as of `machinesAt`. */
  async checkPattern({ scheme }: MachinePattern): Promise<void> {
    await this.#lister(scheme);
  }

  async #lister(scheme: string): Promise<Hypervisor> {
    const hypervisor = (await this.#load('hypervisor', scheme, `${scheme}:`)) as Hypervisor;
    if (hypervisor.supports.patterns === true) return hypervisor;
    throw new FitdocError('CAPABILITY_MISSING', `No pattern can name machines of "${scheme}:".`, {
      hint: 'Name each of them; "fitdoc machines" lists what there is. Patterns are for libvirt:.',
    });
  }

  async #load(kind: Adapter['kind'], scheme: string, location: string): Promise<StoreFactory | Hypervisor> {
    const adapter = this.#adapters.get(scheme);
    if (adapter?.kind !== kind) throw this.#unknown(kind, scheme, location);
    let module: unknown;
    try {
      module = await adapter.load();
    } catch (cause) {
      throw unloadable(adapter, cause);
    }
    const loaded = exported(module, kind);
    if (loaded) return loaded;
    throw unloadable(adapter, new Error(`it exports no ${kind} of a version that this fitdoc knows`));
  }

  #unknown(kind: Adapter['kind'], scheme: string, location: string): FitdocError {
    const known = this.adapters.filter((adapter) => adapter.kind === kind).map((adapter) => adapter.scheme);
    const other = this.#adapters.get(scheme);
    const why = other ? `"${scheme}:" is a ${other.kind}` : `no ${kind} has the scheme "${scheme}"`;
    return new FitdocError('LOCATION_UNKNOWN', `"${location}" names no ${kind}: ${why}.`, {
      hint: `Schemes of a ${kind}: ${known.map((name) => `${name}:`).join(' ')}${
        kind === 'store' ? ' (a path alone means fs:)' : ''
      }.`,
    });
  }
}
