import { isBuiltin } from 'node:module';
import path from 'node:path';
import { layerOf, type Layer } from './layers.js';
import { findCycles, findFileCycles } from './cycles.js';
import { SCOPE, type Package, type SourceFile } from './workspace.js';

/** Everything that breaks the rules, one sentence each, in the order of the packages. */
export function checkLayers(packages: readonly Package[]): string[] {
  const byName = new Map(packages.map((each) => [each.name, each]));
  const violations = packages.flatMap((each) => {
    const layer = layerOf(each.name);
    if (!layer) return [`${each.name} is in no layer: name it in tools/check-layers/src/layers.ts`];
    return [
      ...each.dependencies.flatMap((name) => checkDirection(layer, each.name, name, 'depends on')),
      ...each.devDependencies.filter((name) => isAbove(layer, name)).map((name) => devRule(each.name, name)),
      ...each.sources.flatMap((source) => checkSource(each, layer, source, byName)),
      ...each.tests.flatMap((test) => checkTest(each, layer, test, byName)),
    ];
  });
  return [
    ...violations,
    ...findCycles(packages).map((cycle) => `packages in a circle: ${cycle.join(' -> ')}`),
    ...packages.flatMap((each) =>
      findFileCycles(each).map((cycle) => `files of ${each.name} in a circle: ${cycle.join(' -> ')}`),
    ),
  ];
}

function checkDirection(layer: Layer, from: string, to: string, verb: string): string[] {
  const target = layerOf(to);
  if (target && layer.mayImport.includes(target.name)) return [];
  const kind = target ? `${layer.name} may not import ${target.name}` : `no layer holds ${to}`;
  return [`${from} ${verb} ${to}: ${kind}`];
}

/** Tests may use what they like, except what is built on top of everything. */
function isAbove(layer: Layer, name: string): boolean {
  return layer.name !== 'app' && layerOf(name)?.name === 'app';
}

function devRule(from: string, to: string): string {
  return `${from} needs ${to} for its tests: only an app may test with an app`;
}

function checkSource(
  owner: Package,
  layer: Layer,
  { file, imports }: SourceFile,
  byName: ReadonlyMap<string, Package>,
): string[] {
  const at = `${owner.name}/${file}`;
  return imports.flatMap((specifier) => {
    if (specifier.startsWith('.')) {
      const reached = path.resolve(owner.directory, path.dirname(file), specifier);
      const inside = reached.startsWith(path.resolve(owner.directory) + path.sep);
      return inside ? [] : [`${at} imports ${specifier}: a package reaches others by their names only`];
    }
    if (layer.node === false && isBuiltin(specifier)) {
      return [`${at} imports ${specifier}: ${layer.name} has to run where Node is not`];
    }
    if (!specifier.startsWith(SCOPE)) return [];
    const [name, subpath] = split(specifier);
    if (name === owner.name) return [`${at} imports its own package by name: use a relative path`];
    return [
      ...checkDirection(layer, at, name, 'imports'),
      ...(owner.dependencies.includes(name)
        ? []
        : [`${at} imports ${name}, which is not in its dependencies`]),
      ...checkSubpath(at, name, subpath, byName),
    ];
  });
}

function checkTest(
  owner: Package,
  layer: Layer,
  { file, imports }: SourceFile,
  byName: ReadonlyMap<string, Package>,
): string[] {
  const at = `${owner.name}/${file}`;
  return imports
    .filter((specifier) => specifier.startsWith(SCOPE))
    .flatMap((specifier) => {
      const [name, subpath] = split(specifier);
      const declared =
        name === owner.name || [...owner.dependencies, ...owner.devDependencies].includes(name);
      return [
        ...(declared ? [] : [`${at} imports ${name}, which is not in its devDependencies`]),
        ...(isAbove(layer, name) ? [devRule(at, name)] : []),
        ...checkSubpath(at, name, subpath, byName),
      ];
    });
}

function checkSubpath(
  at: string,
  name: string,
  subpath: string,
  byName: ReadonlyMap<string, Package>,
): string[] {
  const target = byName.get(name);
  if (!target || target.exports.includes(subpath)) return [];
  return [`${at} imports ${subpath} of ${name}, which does not export it`];
}

/** `@fitdoc/compliance/store` into `compliance` and `./store`. */
function split(specifier: string): [name: string, subpath: string] {
  const [name = '', ...rest] = specifier.slice(SCOPE.length).split('/');
  return [name, rest.length === 0 ? '.' : `./${rest.join('/')}`];
}
