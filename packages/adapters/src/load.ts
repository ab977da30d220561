import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { FitdocError, type Hypervisor, type StoreFactory } from '@fitdoc/interface';
import type { Adapter } from './adapter.js';

const PACKAGE_NAME = /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*$/;
const EXPORTS = { store: 'storeFactory', hypervisor: 'hypervisor' } as const;
const VERSIONS = { store: 'store-v1', hypervisor: 'hypervisor-v1' } as const;

/** The adapter of a kind that a module exports, if it is of a version of the port that is known. */
export function exported(module: unknown, kind: Adapter['kind']): StoreFactory | Hypervisor | undefined {
  const value = (module as Record<string, unknown>)[EXPORTS[kind]] as Partial<Hypervisor> | undefined;
  if (typeof value?.scheme !== 'string') return undefined;
  return (value.specificationVersion as string) === VERSIONS[kind] ? (value as Hypervisor) : undefined;
}

/** Imports a package by its name, from beside this one or from `from`. Errors: CONFIG_INVALID. */
export async function importByName(packageName: string, from: string): Promise<unknown> {
  if (!PACKAGE_NAME.test(packageName)) {
    throw new FitdocError('CONFIG_INVALID', `"${packageName}" is not the name of a package.`, {
      hint: 'Adapters of others are named by package, not by path or URL.',
    });
  }
  try {
    return await import(packageName);
  } catch (first) {
    if (!isMissing(first, packageName)) throw notLoaded(packageName, first);
  }
  try {
    const file = createRequire(path.join(path.resolve(from), 'package.json')).resolve(packageName);
    return await import(pathToFileURL(file).href);
  } catch (cause) {
    throw notLoaded(packageName, cause);
  }
}

/** The error of an adapter of fitdoc's own that cannot be loaded. */
export function unloadable({ packageName, scheme }: Adapter, cause: unknown): FitdocError {
  const missing = isMissing(cause, packageName);
  return new FitdocError(
    'CAPABILITY_MISSING',
    missing
      ? `The adapter for "${scheme}:" is not installed.`
      : `The adapter for "${scheme}:" cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}.`,
    { cause, hint: missing ? `Install it: npm install ${packageName}` : `Install ${packageName} again.` },
  );
}

function isMissing(error: unknown, packageName: string): boolean {
  const { code, message = '' } = error as { code?: string; message?: string };
  const notFound = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  // Not when it is a dependency of the package that is missing.
  return notFound && message.includes(`'${packageName}'`);
}

function notLoaded(packageName: string, cause: unknown): FitdocError {
  return new FitdocError('CONFIG_INVALID', `The adapter package ${packageName} cannot be loaded.`, {
    cause,
    hint: `Install it where fitdoc finds it: npm install ${packageName}`,
  });
}
