import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { abortError, FitdocError, throwIfAborted, type ErrorCode } from '@fitdoc/interface';
import { programFile } from '../attach/programs.js';
import type { Questions } from './questions.js';

interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly retryable?: boolean;
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * Asks the libvirt at a URI one question. Its C libraries are in a process of its own for that: a fault, or a long wait,
 * stays there. Errors: MACHINE_NOT_FOUND (no libvirt answers, or refuses), CAPABILITY_MISSING, PROTOCOL_ERROR with
 * libvirt's words, ABORTED.
 */
export async function ask<Kind extends keyof Questions>(
  uri: string,
  kind: Kind,
  asked: Questions[Kind]['asked'],
  signal?: AbortSignal,
): Promise<Questions[Kind]['answer']> {
  throwIfAborted(signal);
  const child = spawn(process.execPath, [programFile('ask')], { stdio: ['pipe', 'pipe', 'ignore'] });
  const kill = (): unknown => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  try {
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    child.stdin.on('error', () => undefined);
    child.stdin.end(JSON.stringify({ uri, kind, asked }));
    const out = await Promise.race([text(child.stdout), failed]);
    if (signal?.aborted === true) throw abortError(signal);
    if (out === '') throw new Error('it ended without an answer');
    const { answer, failure } = JSON.parse(out) as { answer: Questions[Kind]['answer']; failure?: Failure };
    if (failure === undefined) return answer;
    const { code, message, ...more } = failure;
    throw new FitdocError(code, message, more);
  } catch (cause) {
    if (cause instanceof FitdocError) throw cause;
    throw new FitdocError('PROTOCOL_ERROR', 'The process that asks libvirt failed.', {
      cause,
      hint: 'Try again; if it stays, report it: this is a fault of fitdoc or of libvirt.',
      retryable: true,
    });
  } finally {
    signal?.removeEventListener('abort', kill);
  }
}
