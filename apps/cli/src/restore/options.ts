import type { RestoreRequest } from '@fitdoc/engine';
import { FitdocError, type RestoreReport } from '@fitdoc/interface';
import type { Command } from 'commander';
import { count } from '../output/units.js';
import type { StoreOptions } from '../session.js';

/** Options of restores whose guest runs before its memory is there. */
export interface LazyOptions extends StoreOptions {
  readonly to: string;
  readonly lazy?: boolean;
  readonly resume?: boolean;
  readonly also?: string;
  readonly verifyFirst?: boolean;
}

export function lazyOptions(command: Command): Command {
  return command
    .option(
      '--lazy',
      'let the guest run at once and send its memory meanwhile, or refuse where that cannot be (kvm: only; default: where it can be and the store is local)',
    )
    .option('--no-lazy', 'load all memory before the guest runs')
    .option('--resume', 'go on with a lazy restore whose command was killed; name the same checkpoint')
    .option(
      '--also <location>',
      'with --lazy: another repository with the checkpoint, for pages that are damaged',
    )
    .option('--verify-first', 'with --lazy: check all that will be read first (default for local stores)')
    .option('--no-verify-first', 'let the guest run without that');
}

/** ARGUMENT_INVALID for options that mean nothing without others, or nothing together. */
export function checkLazyOptions({ lazy, resume, also, verifyFirst, to }: LazyOptions): void {
  const wrong = (message: string, hint: string): never => {
    throw new FitdocError('ARGUMENT_INVALID', message, { hint });
  };
  const serves = lazy === true || resume === true;
  if (serves && (!to.startsWith('kvm:') || to.startsWith('kvm:file:')))
    wrong(`A guest at ${to} cannot run before its memory is there.`, 'Only a QEMU can: --to kvm:SOCKET.');
  if (resume && lazy === false)
    wrong('--resume and --no-lazy exclude each other.', 'Only a lazy restore can be resumed.');
  if (!serves && also !== undefined)
    wrong('--also needs --lazy or --resume.', 'A full restore reads one repository; restore from the other.');
  if (!serves && verifyFirst === true)
    wrong('--verify-first needs --lazy.', 'A full restore verifies what it reads before the guest runs.');
}

/** What of a restore these options say. */
export function lazyRequest({
  lazy,
  resume = false,
  verifyFirst,
}: Partial<LazyOptions>): Pick<RestoreRequest, 'lazy' | 'resume' | 'verifyFirst'> {
  if (resume) return { resume };
  return {
    lazy: lazy ?? 'auto',
    ...(verifyFirst !== undefined && { verifyFirst: verifyFirst ? 'lazy' : false }),
  };
}

/** What a lazy restore came to, for people. */
export function lazySummary({ lazy, pages }: RestoreReport): string {
  if (!lazy) return `${count(pages)} pages`;
  const ran = lazy.runningMs === undefined ? '' : `ran after ${lazy.runningMs.toFixed(0)} ms, `;
  const waits =
    lazy.faults === 0
      ? 'it waited for none'
      : `it waited for ${count(lazy.faults)}, ${lazy.faultP50Ms.toFixed(1)} ms for half of them and at most ${lazy.faultP99Ms.toFixed(1)} ms for 99 %`;
  return `${ran}all ${count(pages)} pages sent after ${(lazy.sentMs / 1000).toFixed(1)} s; ${waits}`;
}

/** The same for programs; which pages the guest asked for is for the next restore. */
export function lazyTimes({ lazy }: RestoreReport): object {
  if (!lazy) return {};
  const { asked: _, ...times } = lazy;
  return { lazy: times };
}
