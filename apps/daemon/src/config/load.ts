import { readFile } from 'node:fs/promises';
import { FitdocError } from '@fitdoc/interface';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { lineOf } from './locate.js';
import { configuration, type Configuration } from './schema.js';

/** Reads and checks a configuration file. CONFIG_INVALID, with every fault's file, line and remedy. */
export async function loadConfiguration(file: string): Promise<Configuration> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new FitdocError('CONFIG_INVALID', `${file} cannot be read.`, {
      cause,
      hint: 'Name the configuration with --config FILE.',
    });
  }
  return parseConfiguration(text, file);
}

export function parseConfiguration(text: string, file: string): Configuration {
  const result = configuration.safeParse(parseToml(text, file));
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap(leaves).map((issue) => {
    const where = issue.path.map(String).join('.');
    return { line: lineOf(text, issue.path), where, message: issue.message };
  });
  const list = faults.map(
    ({ line, where, message }) => `${file}:${line}: ${where ? `${where}: ` : ''}${message}`,
  );
  throw new FitdocError('CONFIG_INVALID', list.join('\n'), {
    hint: 'Correct the file, then: fitdocd check --config FILE.',
    details: { faults },
  });
}

function parseToml(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    throw new FitdocError(
      'CONFIG_INVALID',
      `${file}:${cause.line}:${cause.column}: ${cause.message.split('\n')[0]}`,
      {
        cause,
        hint: 'Correct the TOML on that line.',
      },
    );
  }
}

interface Issue {
  readonly path: PropertyKey[];
  readonly message: string;
}

/** An unknown key is reported at its table by zod: name the key itself, so that its line is found. */
function leaves(issue: z.core.$ZodIssue): Issue[] {
  if (issue.code !== 'unrecognized_keys') return [issue];
  return issue.keys.map((key) => ({ path: [...issue.path, key], message: 'there is no such setting' }));
}
