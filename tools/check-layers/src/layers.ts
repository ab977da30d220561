/** Packages of the same standing, and the layers that their source may import. */
export interface Layer {
  readonly name: string;
  /** Package names without the scope; `store-*` stands for all that start so. */
  readonly packages: readonly string[];
  /** Layers whose packages it may import. A layer may import itself only where it is named here. */
  readonly mayImport: readonly string[];
  /** Whether its source may import modules of Node. Default true. */
  readonly node?: boolean;
}

const mechanism = ['bitmap', 'diff', 'codec', 'format', 'sealing', 'nbd', 'qemu'] as const;

/**
 * The rooms of the house: docs/architecture.md as data. A package belongs to the first layer that names it.
 * Imports point to layers that are named, never up and never sideways; adapters meet only in `wiring`.
 */
export const layers: readonly Layer[] = [
  { name: 'contract', packages: ['interface'], mayImport: [], node: false },
  { name: 'bitmap', packages: ['bitmap'], mayImport: ['contract'] },
  { name: 'diff', packages: ['diff'], mayImport: ['contract', 'bitmap'] },
  { name: 'codec', packages: ['codec'], mayImport: ['contract', 'bitmap', 'diff'] },
  { name: 'format', packages: ['format'], mayImport: ['contract', 'bitmap', 'diff', 'codec'] },
  { name: 'sealing', packages: ['sealing'], mayImport: ['contract'] },
  { name: 'nbd', packages: ['nbd'], mayImport: ['contract'] },
  { name: 'qemu', packages: ['qemu'], mayImport: ['contract', 'bitmap', 'nbd'] },
  { name: 'repository', packages: ['repository'], mayImport: ['contract', ...mechanism] },
  { name: 'engine', packages: ['engine'], mayImport: ['contract', ...mechanism, 'repository'] },
  { name: 'compliance', packages: ['compliance'], mayImport: ['contract'] },
  // Wraps any store; names none, so it is no adapter.
  { name: 'decorators', packages: ['store-decorators'], mayImport: ['contract', ...mechanism] },
  {
    name: 'adapter',
    packages: ['store-*', 'hypervisor-*', 'compressor-*'],
    mayImport: ['contract', ...mechanism],
  },
  {
    name: 'wiring',
    packages: ['adapters'],
    mayImport: ['contract', ...mechanism, 'repository', 'engine', 'decorators', 'adapter'],
  },
  {
    name: 'app',
    packages: ['cli', 'daemon'],
    mayImport: ['contract', ...mechanism, 'repository', 'engine', 'decorators', 'wiring'],
  },
];

/** The layer of a package named without its scope, or undefined when none names it. */
export function layerOf(name: string): Layer | undefined {
  return layers.find((layer) => layer.packages.some((pattern) => matches(pattern, name)));
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
