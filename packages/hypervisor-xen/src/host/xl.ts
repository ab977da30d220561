import { FitdocError, isFitdocError } from '@fitdoc/interface';
import { parseGuestConfig, type GuestConfig } from '../memory/guest-config.js';
import type { StandingState } from './states.js';
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
  const list = answer === '' ? [] : (JSON.parse(answer) as Listed[]);
  const found = list[0];
  if (!found || found.domid === 0) throw await notFound(shell, name, found !== undefined, signal);
  return { xen, domain: readDomain(found) };
}

/** Why a name, or number, is of no guest that can be captured. */
async function notFound(
  shell: HostShell,
  name: string,
  isHost: boolean,
  signal?: AbortSignal,
): Promise<FitdocError> {
  if (isHost) {
    return new FitdocError(
      'MACHINE_NOT_FOUND',
      `${name} is the domain that runs ${shell.name} itself, no guest.`,
      {
        hint: '`xl list` shows the names of the guests.',
      },
    );
  }
  const { code } = await runOn(shell, 'xl domid "$1" || xl domname "$1"', [name], signal);
  if (code === 0) {
    return new FitdocError(
      'CAPABILITY_MISSING',
      `The toolstack keeps no configuration of the domain ${name}.`,
      {
        hint: 'It is the stub domain of another guest, which can be captured, or was not made by xl.',
      },
    );
  }
  return new FitdocError('MACHINE_NOT_FOUND', `There is no guest named ${name} on ${shell.name}.`, {
    hint: '`xl list` shows the names of those that run.',
  });
}

interface Listed {
  readonly domid: number;
  readonly config: Record<string, unknown>;
}

/** PROTOCOL_ERROR where libxl's configuration cannot be read. */
function readDomain({ domid, config }: Listed): Domain {
  const create = config.c_info as Record<string, unknown> | undefined;
  // The number of the running domain must not become part of what a restore creates.
  delete create?.domid;
  return { domid, config: parseGuestConfig(JSON.stringify(config, null, 4)) };
}

/** A guest of a host's list, and how it stands. */
export interface ListedDomain {
  readonly domain: Domain;
  readonly standing: StandingState | undefined;
}

/**
 * Asks a host about itself and all of its guests; what libxl tells of one that this fitdoc cannot read is given as its
 * name and the error. Errors: CAPABILITY_MISSING, MACHINE_NOT_FOUND (ssh), ABORTED.
 */
export async function listDomains(
  shell: HostShell,
  signal?: AbortSignal,
): Promise<{ xen: XenInfo; domains: (ListedDomain | { name: string; problem: FitdocError })[] }> {
  const { xen, answer } = await ask(shell, ['list', '-l'], signal);
  const { out } = await runOn(shell, 'xl list', [], signal);
  const flags = new Map(
    [...out.matchAll(/ (\d+) +\d+ +\d+ +([-r][-b][-p][-s].[-d]) /g)].map(([, id, text]) => [
      Number(id),
      text!,
    ]),
  );
  const list = answer === '' ? [] : (JSON.parse(answer) as Listed[]);
  const guests = list.filter(({ domid }) => domid !== 0);
  const domains = guests.map((each) => {
    try {
      return { domain: readDomain(each), standing: standingBy(flags.get(each.domid) ?? '') };
    } catch (error) {
      if (!isFitdocError(error)) throw error;
      const { name } = (each.config.c_info ?? {}) as { name?: string };
      return { name: name ?? String(each.domid), problem: error };
    }
  });
  return { xen, domains };
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
 * How a domain stands that its operator paused, that is suspended, crashed or is shutting down; undefined for one
 * that runs, or waits to.
 */
export async function standingOf(shell: HostShell, domain: string): Promise<StandingState | undefined> {
  const { code, out } = await runOn(shell, 'xl list "$1"', [domain]);
  const flags = / ([-r][-b][-p][-s].[-d]) /.exec(out)?.[1];
  return code !== 0 || flags === undefined ? undefined : standingBy(flags);
}

/** By the six letters of `xl list`. */
function standingBy(flags: string): StandingState | undefined {
  if (flags[4] === 'c') return 'crashed';
  if (flags[3] === 's') return flags[4] === 's' ? 'suspended' : 'shutdown';
  return flags[2] === 'p' ? 'paused' : undefined;
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
