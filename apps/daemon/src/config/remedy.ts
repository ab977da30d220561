import type { z } from 'zod';
import {
  configuration,
  daemon,
  hooks,
  adaptive,
  machine,
  pattern,
  pauseHook,
  quiesce,
  repository,
  retention,
  standby,
} from './schema.js';

/** What is wrong with a setting and what to write instead, in an operator's words. */
export function explain(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? missing(issue) : `takes ${TAKES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `takes one of: ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'unrecognized_keys':
      return `there is no such setting; known here: ${knownAt(issue.path).join(', ')}`;
    case 'invalid_union':
    case 'invalid_key':
    case 'invalid_element':
    case 'invalid_format':
    case 'too_big':
    case 'too_small':
    case 'not_multiple_of':
    case 'custom':
      return keyMessage(issue) ?? issue.message;
  }
}

const TAKES: Readonly<Record<string, string>> = {
  string: 'a text in quotes',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list: ["...", "..."]',
  object: 'a table: [name] and settings below it',
  record: 'tables: [name.of-each] and settings below it',
};

const EXAMPLES: Readonly<Record<string, string>> = {
  location: 'location = "scheme:place"',
  repository: 'repository = "NAME" of one under [repositories]',
  mtbf: 'mtbf = "7d"',
  repositories: '[repositories.NAME] with location = "/var/lib/fitdoc"',
  dir: 'dir = "/var/lib/fitdoc/NAME"',
  machines: '[machines.NAME] with location, repository and every',
};

function missing({ path }: z.core.$ZodIssue): string {
  const example = EXAMPLES[String(path.at(-1))];
  return example === undefined ? 'is missing' : `is missing; add ${example}`;
}

/** A bad name of a machine or repository: zod puts the reason inside. */
function keyMessage(issue: z.core.$ZodIssue): string | undefined {
  return issue.code === 'invalid_key' ? issue.issues.map(({ message }) => message).join('; ') : undefined;
}

function knownAt(path: readonly PropertyKey[]): string[] {
  const [root, , part] = path.map(String);
  if (root === undefined) return Object.keys(configuration.shape).filter((name) => name !== 'patterns');
  if (root === 'daemon') return Object.keys(daemon.shape);
  if (root === 'repositories') return Object.keys(repository.shape);
  if (root === 'standbys') return Object.keys(standby.shape);
  if (part === 'retention') return Object.keys(retention.shape);
  if (part === 'hooks') return Object.keys(hooks.shape);
  if (part === 'pause-hook') return Object.keys(pauseHook.shape);
  if (part === 'quiesce') return Object.keys(quiesce.shape);
  if (part === 'adaptive') return Object.keys(adaptive.shape);
  return Object.keys(root === 'patterns' ? pattern.shape : machine.shape);
}
