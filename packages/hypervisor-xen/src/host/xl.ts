import { FitdocError } from '@fitdoc/interface';
import { parseGuestConfig, type GuestConfig } from '../memory/guest-config.js';
import { runOn, type HostShell } from './shell.js';

/** What `xl info` tells of a host. */
export interface XenInfo {
  readonly major: number;
  readonly minor: number;
  readonly version: string;
  /** Words such as `pv`, `hvm`, `hap`, `shadow`. */
  readonly capabilities: readonly string[];
}

export interface Domain {
  readonly domid: number;
  readonly config: GuestConfig;
}

// A shell that finds no program ends with 127, ssh that cannot connect with 255.
function explain(shell: HostShell, code: number | null, err: string): FitdocError {
  const cause = new Error(err.trim().split('\n').slice(-5).join('\n') || `exit code ${code}`);
  if (code === 255 && !shell.local) {
    return new FitdocError('MACHINE_NOT_FOUND', `${shell.name} cannot be reached over ssh.`, {
      cause,
      hint: 'Check `ssh HOST xl info` by hand; it must work without a password prompt.',
      retryable: true,
    });
  }
  if (code === 127) {
    return new FitdocError('CAPABILITY_MISSING', `There is no xl on ${shell.name}.`, {
      cause,
      hint: 'Run this in dom0 of a Xen host (package xen-utils), or use xen+ssh://HOST/DOMAIN.',
    });
  }
  return new FitdocError('CAPABILITY_MISSING', `The Xen toolstack of ${shell.name} does not answer.`, {
    cause,
    hint: 'fitdoc needs root in dom0, with xenstored running; check `xl info` there.',
  });
}

const ANSWER = 'fitdoc-answer';

/**
 * Asks the host about itself and, in the same breath, what `xl` says to `question`: over ssh each connection
 * costs more than the question. The answer is empty when xl refuses it.
 * Errors: CAPABILITY_MISSING, MACHINE_NOT_FOUND (ssh), ABORTED.
 */
async function ask(
  shell: HostShell,
  question: readonly string[],
  signal?: AbortSignal,
): Promise<{ xen: XenInfo; answer: string }> {
  const script = `xl info || exit; echo ${ANSWER}; xl "$@" 2>/dev/null; exit 0`;
  const { code, out, err } = await runOn(shell, script, question, signal);
  const [info = '', answer = ''] = out.split(`${ANSWER}\n`);
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(info)?.[1]?.trim() ?? '';
  if (code !== 0 || field('xen_major') === '') throw explain(shell, code, err);
  const xen = {
    major: Number(field('xen_major')),
    minor: Number(field('xen_minor')),
    version: field('xen_version'),
    capabilities: field('virt_caps').split(/\s+/),
  };
  return { xen, answer };
}

/**
 * Finds a domain by name or number, and asks its host about itself. Errors: CAPABILITY_MISSING,
 * MACHINE_NOT_FOUND, PROTOCOL_ERROR, ABORTED.
 */
export async function findDomain(
  shell: HostShell,
  name: string,
  signal?: AbortSignal,
): Promise<{ xen: XenInfo; domain: Domain }> {
  const { xen, answer } = await ask(shell, ['list', '-l', name], signal);
  const list =
    answer === '' ? [] : (JSON.parse(answer) as { domid: number; config: Record<string, unknown> }[]);
  const found = list[0];
  if (!found || found.domid === 0) {
    throw new FitdocError('MACHINE_NOT_FOUND', `There is no guest named ${name} on ${shell.name}.`, {
      hint: '`xl list` shows the names of those that run.',
    });
  }
  const create = found.config.c_info as Record<string, unknown> | undefined;
  // The number of the running domain must not become part of what a restore creates.
  delete create?.domid;
  const config = parseGuestConfig(JSON.stringify(found.config, null, 4));
  return { xen, domain: { domid: found.domid, config } };
}

/** Asks a host about itself, and whether it has a domain of that name. Errors: those of `findDomain`. */
export async function nameTaken(
  shell: HostShell,
  name: string,
  signal?: AbortSignal,
): Promise<{ xen: XenInfo; taken: boolean }> {
  const { xen, answer } = await ask(shell, ['domid', name], signal);
  return { xen, taken: answer !== '' };
}

/**
 * Whether a domain has ended: shut down, crashed, being destroyed or not there. A host that does not answer
 * says nothing about its domains.
 */
export async function hasEnded(shell: HostShell, domain: string): Promise<boolean> {
  const { code, out } = await runOn(shell, 'xl list >/dev/null || exit; xl list "$1" || exit 0', [domain]);
  if (code !== 0) return false;
  const flags = / ([-r][-b][-p][-s].[-d]) /.exec(out)?.[1];
  return flags === undefined || flags[5] === 'd' || (flags[3] === 's' && flags[4] !== 's');
}
