import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { addAbortSignal } from 'node:stream';
import { abortError, FitdocError } from '@fitdoc/interface';
import { parseKeyFile, parsePassphrase, type Secret } from './secret.js';

/** More than any passphrase or key file has. */
const MOST_BYTES = 65_536;

/** Tells of a file with a secret that others can read. */
export type OnNote = (note: string) => void;

export async function passphraseOfFile(file: string, onNote: OnNote): Promise<Secret> {
  return withBytes(await bytesOfFile(file, onNote), (bytes) => parsePassphrase(bytes, `in ${file}`));
}

export async function secretOfKeyFile(file: string, onNote: OnNote): Promise<Secret> {
  return withBytes(await bytesOfFile(file, onNote), (bytes) =>
    parseKeyFile(bytes.toString('utf8'), `file ${file}`),
  );
}

export async function passphraseOfDescriptor(text: string): Promise<Secret> {
  const descriptor = Number(text);
  if (!/^\d+$/.test(text) || descriptor > 1_000_000) {
    throw new FitdocError(
      'ARGUMENT_INVALID',
      `--passphrase-fd takes the number of an open descriptor, not ${text}.`,
    );
  }
  const stream = createReadStream('', { fd: descriptor, autoClose: descriptor > 2 });
  return withBytes(await collected(stream, `descriptor ${descriptor}`), (bytes) =>
    parsePassphrase(bytes, `of descriptor ${descriptor}`),
  );
}

/** What the command prints, and nothing of it in an error. ARGUMENT_INVALID where the signal is a time that is over. */
export async function passphraseOfCommand(command: string, signal: AbortSignal): Promise<Secret> {
  const child = spawn(command, { shell: true, stdio: ['inherit', 'pipe', 'inherit'], signal });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  ended.catch(() => undefined);
  // What the command has started may outlive it, and hold its output open.
  addAbortSignal(signal, child.stdout);
  const bytes = await collected(child.stdout, 'the passphrase command').catch(givenUp(signal));
  const code = await ended.catch(givenUp(signal));
  if (code !== 0) {
    bytes.fill(0);
    throw new FitdocError('ARGUMENT_INVALID', `The passphrase command ended with exit code ${code}.`, {
      hint: nameOf(command),
    });
  }
  return withBytes(bytes, (each) => parsePassphrase(each, 'of the passphrase command'));
}

/** Which command it was: what follows its name, or stands before it, may be a secret. */
function nameOf(command: string): string {
  const [name] = /^[\w@%+:,./-]+(?=[\s;|&<>]|$)/.exec(command.trim()) ?? [];
  return name === undefined
    ? 'Run it by hand to see what is wrong.'
    : `It was ${name}: run it by hand, with its arguments, to see what is wrong.`;
}

function givenUp(signal: AbortSignal): (error: unknown) => never {
  return (error) => {
    if (!signal.aborted) throw error;
    if ((signal.reason as Error | undefined)?.name !== 'TimeoutError') throw abortError(signal);
    throw new FitdocError('ARGUMENT_INVALID', 'The passphrase command did not end in time.', {
      cause: error,
      hint: 'Nobody is there to answer it: let it ask for nothing.',
    });
  };
}

async function bytesOfFile(file: string, onNote: OnNote): Promise<Buffer> {
  try {
    const { mode, size } = await stat(file);
    if (size > MOST_BYTES) throw tooLong(file);
    if ((mode & 0o077) !== 0) onNote(`note: others of this host can read ${file}: chmod 600 ${file}`);
    return await readFile(file);
  } catch (cause) {
    if (cause instanceof FitdocError) throw cause;
    throw new FitdocError(
      'ARGUMENT_INVALID',
      `${file} cannot be read: ${(cause as NodeJS.ErrnoException).code}.`,
      {
        cause,
        hint: 'It holds the secret of an encrypted repository; name a file that is there.',
      },
    );
  }
}

async function collected(stream: AsyncIterable<unknown>, name: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of stream) {
      parts.push(part as Buffer);
      length += (part as Buffer).length;
      if (length > MOST_BYTES) throw tooLong(name);
    }
    return Buffer.concat(parts);
  } catch (cause) {
    if (cause instanceof FitdocError) throw cause;
    throw new FitdocError('ARGUMENT_INVALID', `No passphrase could be read from ${name}.`, { cause });
  } finally {
    for (const part of parts) part.fill(0);
  }
}

function tooLong(name: string): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', `${name} is too long for a passphrase or a key.`);
}

function withBytes(bytes: Buffer, parse: (bytes: Buffer) => Secret): Secret {
  try {
    return parse(bytes);
  } finally {
    bytes.fill(0);
  }
}
