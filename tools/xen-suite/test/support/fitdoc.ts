import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import type { JobResult } from '../../../lab/src/xen/index.js';

const manifest = createRequire(import.meta.url).resolve('@fitdoc/cli/package.json');
export const commandPath = join(dirname(manifest), 'dist/main.js');
const project = resolve(import.meta.dirname, '../../../..');

export type Message = Readonly<Record<string, unknown>>;

/** Runs the built command on this machine. */
export function fitdoc(...words: string[]): Promise<JobResult> {
  return new Promise((done) => {
    execFile(process.execPath, [commandPath, ...words], { maxBuffer: 2 ** 26 }, (error, out, err) => {
      const code = typeof error?.code === 'number' ? error.code : error ? 1 : 0;
      done({ code, out, err });
    });
  });
}

/** Like `fitdoc`; throws unless it ends with 0. Gives its output. */
export async function must(...words: string[]): Promise<string> {
  const { code, out, err } = await fitdoc(...words);
  if (code !== 0) throw new Error(`fitdoc ${words.join(' ')} ended with ${code}:\n${out}\n${err}`);
  return out;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The same command as dom0's shell runs it, where the project lies at /project and Node.js at /node. */
export function dom0Command(...words: string[]): string {
  const path = join('/project', relative(project, commandPath));
  return ['/node/node', path, ...words].map(quoted).join(' ');
}

/** The lines of JSON Lines output that are of one type. */
export function messages(out: string, type: string): Message[] {
  return out
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Message)
    .filter((message) => message['message_type'] === type);
}
