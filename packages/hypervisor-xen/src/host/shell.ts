import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { abortError, FitdocError, throwIfAborted } from '@fitdoc/interface';

/** A command with pipes to its stdin, stdout and stderr. */
export type HostProcess = ChildProcessByStdio<Writable, Readable, Readable>;

export interface CommandResult {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Where the toolstack runs: this machine's dom0, or another's over ssh. */
export interface HostShell {
  /** For messages: `this host`, or the ssh destination. */
  readonly name: string;
  readonly local: boolean;
  /** Starts a shell script with the given words as `$1`, `$2`, ... */
  start(script: string, words: readonly string[]): HostProcess;
}

/** Quotes a word for a POSIX shell. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

// Debian keeps libxl's helper and xl's libraries out of a plain user's path.
const PATH = 'PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin; export PATH;';

export class LocalShell implements HostShell {
  readonly name = 'this host';
  readonly local = true;

  start(script: string, words: readonly string[]): HostProcess {
    return spawn('sh', ['-c', `${PATH}\n${script}`, 'fitdoc', ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
  }
}

export interface SshOptions {
  /** `host` or `user@host`. */
  readonly destination: string;
  readonly port?: number;
  /** The ssh program. Default `ssh`. */
  readonly program?: string;
  /** Its configuration file, instead of the user's own. */
  readonly config?: string;
  /** Further arguments for it, such as `-i FILE`. */
  readonly extra?: readonly string[];
}

export class SshShell implements HostShell {
  readonly local = false;
  constructor(private readonly options: SshOptions) {}

  get name(): string {
    return this.options.destination;
  }

  start(script: string, words: readonly string[]): HostProcess {
    const { destination, port, program = 'ssh', config, extra = [] } = this.options;
    const command = ['sh', '-c', `${PATH}\n${script}`, 'fitdoc', ...words].map(quote).join(' ');
    const own = [
      ...(config === undefined ? [] : ['-F', config]),
      ...(port === undefined ? [] : ['-p', String(port)]),
    ];
    // Never a prompt, and an end to a connection that has gone silent.
    const fixed = ['-T', '-o', 'BatchMode=yes', '-o', 'ServerAliveInterval=5', '-o', 'ServerAliveCountMax=3'];
    return spawn(program, [...fixed, ...own, ...extra, '--', destination, command], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }
}

/** Runs a script to its end. Errors: ABORTED; CAPABILITY_MISSING where no shell can be started. */
export async function runOn(
  shell: HostShell,
  script: string,
  words: readonly string[] = [],
  signal?: AbortSignal,
): Promise<CommandResult> {
  throwIfAborted(signal);
  const child = shell.start(script, words);
  child.stdin.on('error', () => {});
  child.stdin.end();
  const parts: { out: Buffer[]; err: Buffer[] } = { out: [], err: [] };
  child.stdout.on('data', (chunk: Buffer) => parts.out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => parts.err.push(chunk));
  return await new Promise<CommandResult>((resolve, reject) => {
    const stop = () => {
      child.kill();
      reject(abortError(signal!));
    };
    signal?.addEventListener('abort', stop, { once: true });
    child.on('error', (cause) => {
      reject(
        new FitdocError('CAPABILITY_MISSING', `No shell can be started on ${shell.name}.`, {
          cause,
          hint: shell.local
            ? 'Check that /bin/sh is there.'
            : 'Install the ssh client, or name it in config.ssh.',
        }),
      );
    });
    child.on('close', (code) => {
      signal?.removeEventListener('abort', stop);
      resolve({ code, out: Buffer.concat(parts.out).toString(), err: Buffer.concat(parts.err).toString() });
    });
  });
}
