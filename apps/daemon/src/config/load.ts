import { access, constants, readFile } from 'node:fs/promises';
import { AdapterRegistry, isMachinePattern, parseLocation, parseMachinePattern } from '@fitdoc/adapters';
import { FitdocError, isFitdocError } from '@fitdoc/interface';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { sameIdentities } from './identities.js';
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
  const faults = [...(await surroundings(loaded)), ...twins(loaded)];
  if (faults.length > 0) throw invalid(text, file, faults);
  return loaded;
}

/** Checks a configuration's form. CONFIG_INVALID. */
export function parseConfiguration(text: string, file: string): Configuration {
  const written = parseToml(text, file);
  if ('patterns' in written) {
    const message =
      'there is no such setting; a pattern is the name of a table of machines: [machines."libvirt:*"]';
    throw invalid(text, file, [{ path: ['patterns'], message }]);
  }
  const result = configuration.safeParse(apart(written), { reportInput: true });
  if (result.success) return result.data;
  throw invalid(text, file, result.error.issues.flatMap(faultsOf));
}

/** The file's tables, with those of machines whose name is a pattern apart from those that name one. */
function apart(written: Record<string, unknown>): Record<string, unknown> {
  const { machines } = written;
  if (typeof machines !== 'object' || machines === null) return { ...written, patterns: {} };
  const pick = (wanted: boolean): object =>
    Object.fromEntries(Object.entries(machines).filter(([name]) => isMachinePattern(name) === wanted));
  return { ...written, machines: pick(false), patterns: pick(true) };
}

function parseToml(text: string, file: string): Record<string, unknown> {
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
  const [root, ...rest] = issue.path;
  const path = root === 'patterns' ? ['machines', ...rest] : issue.path;
  if (issue.code !== 'unrecognized_keys') return [{ path, message }];
  return issue.keys.map((key) => ({ path: [...path, key], message }));
}

/** Machines that cannot but write one chain: each of them is named, with its line. */
function twins(loaded: Configuration): Fault[] {
  return sameIdentities(loaded).flatMap(({ machines: [one, other], certain, message }) =>
    certain
      ? [fault(one, `${message} as machines.${other}`), fault(other, `${message} as machines.${one}`)]
      : [],
  );
}

function fault(machine: string, what: string): Fault {
  const message = `${what}, in one repository; give it a machine-id of its own, or another repository`;
  return { path: ['machines', machine, 'location'], message };
}

/** What may be wrong, and only the guests can tell: `FILE:LINE: ...`, for people. */
export async function doubts(file: string, loaded: Configuration): Promise<string[]> {
  const text = await readFile(file, 'utf8');
  const line = (name: string): number => lineOf(text, ['machines', name, 'location']);
  return sameIdentities(loaded)
    .filter(({ certain }) => !certain)
    .map(
      ({ machines: [one, other], message }) =>
        `${file}:${line(other)}: machines.${other} ${message}, as machines.${one} on line ${line(one)}: ` +
        'the second to attach is refused then; give it a machine-id',
    );
}

/** What a configuration needs around it. */
async function surroundings({ daemon, repositories, machines, patterns }: Configuration): Promise<Fault[]> {
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
    ...Object.keys(patterns).map(
      (text) => [['machines', text], () => registry.checkPattern(parseMachinePattern(text))] as const,
    ),
  ];
  const token = daemon['token-file'];
  if (token !== undefined) tests.push([['daemon', 'token-file'], () => access(token)]);
  for (const [name, settings] of Object.entries(repositories)) {
    for (const key of ['passphrase-file', 'key-file'] as const) {
      const file = settings[key];
      if (file !== undefined) tests.push([['repositories', name, key], () => access(file, constants.R_OK)]);
    }
  }
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
