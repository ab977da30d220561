import { access, readFile } from 'node:fs/promises';
import { AdapterRegistry, parseLocation } from '@fitdoc/adapters';
import { FitdocError, isFitdocError } from '@fitdoc/interface';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { lineOf } from './locate.js';
import { explain } from './remedy.js';
import { configuration, type Configuration } from './schema.js';

/** What is wrong with a configuration, and where. */
interface Fault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/**
 * Reads and checks a configuration file: its form, that adapters for its locations are installed, and that the
 * token can be read. Touches no machine and no store. CONFIG_INVALID, with every fault's file, line and remedy.
 */
export async function loadConfiguration(file: string): Promise<Configuration> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new FitdocError('CONFIG_INVALID', `${file}: cannot be read (${(cause as Error).message}).`, {
      cause,
      hint: 'Name the configuration with --config FILE.',
    });
  }
  const loaded = parseConfiguration(text, file);
  const faults = await surroundings(loaded);
  if (faults.length > 0) throw invalid(text, file, faults);
  return loaded;
}

/** Checks a configuration's form. CONFIG_INVALID. */
export function parseConfiguration(text: string, file: string): Configuration {
  const result = configuration.safeParse(parseToml(text, file), { reportInput: true });
  if (result.success) return result.data;
  throw invalid(text, file, result.error.issues.flatMap(faultsOf));
}

function parseToml(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const what = cause.message.split('\n')[0] ?? '';
    throw new FitdocError('CONFIG_INVALID', `${file}:${cause.line}:${cause.column}: ${what}`, {
      cause,
      hint: 'Correct the TOML on that line: texts stand in quotes, a table begins with [name].',
    });
  }
}

function invalid(text: string, file: string, faults: readonly Fault[]): FitdocError {
  const placed = faults
    .map(({ path, message }) => ({ line: lineOf(text, path), where: path.map(String).join('.'), message }))
    .sort((one, other) => one.line - other.line);
  const list = placed.map(
    ({ line, where, message }) => `${file}:${line}: ${where && `${where}: `}${message}`,
  );
  return new FitdocError('CONFIG_INVALID', list.join('\n'), {
    hint: `Correct the file, then: fitdocd check --config ${file}`,
    details: { faults: placed },
  });
}

/** Zod reports an unknown key at its table: name the key itself, so that its line is found. */
function faultsOf(issue: z.core.$ZodIssue): Fault[] {
  const message = explain(issue);
  if (issue.code !== 'unrecognized_keys') return [{ path: issue.path, message }];
  return issue.keys.map((key) => ({ path: [...issue.path, key], message }));
}

/** What a configuration needs around it. */
async function surroundings({ daemon, repositories, machines }: Configuration): Promise<Fault[]> {
  const registry = new AdapterRegistry();
  const tests: (readonly [path: readonly PropertyKey[], test: () => unknown])[] = [
    [['daemon', 'adapters'], () => registry.addPackages(daemon.adapters)],
    ...Object.entries(repositories).map(
      ([name, { location }]) =>
        [['repositories', name, 'location'], () => checkStore(registry, location)] as const,
    ),
    ...Object.entries(machines).map(
      ([name, { location }]) =>
        [['machines', name, 'location'], () => registry.hypervisorFor(location)] as const,
    ),
  ];
  const token = daemon['token-file'];
  if (token !== undefined) tests.push([['daemon', 'token-file'], () => access(token)]);
  const faults: Fault[] = [];
  for (const [path, test] of tests) {
    try {
      await test();
    } catch (error) {
      const hint = isFitdocError(error) && error.hint !== undefined ? ` ${error.hint}` : '';
      faults.push({ path, message: `${(error as Error).message}${hint}` });
    }
  }
  return faults;
}

function checkStore(registry: AdapterRegistry, location: string): void {
  const { scheme } = parseLocation(location);
  const stores = registry.adapters.filter(({ kind }) => kind === 'store').map((adapter) => adapter.scheme);
  if (stores.includes(scheme)) return;
  const known = stores.map((name) => `${name}:`).join(' ');
  throw new FitdocError('LOCATION_UNKNOWN', `no store has the scheme "${scheme}:".`, {
    hint: `Use a directory, or one of: ${known}`,
  });
}
