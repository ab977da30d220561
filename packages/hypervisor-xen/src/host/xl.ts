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

/** Asks the host about itself. Errors: CAPABILITY_MISSING, MACHINE_NOT_FOUND (ssh), ABORTED. */
export async function xenInfo(shell: HostShell, signal?: AbortSignal): Promise<XenInfo> {
  const { code, out, err } = await runOn(shell, 'xl info', [], signal);
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(out)?.[1]?.trim() ?? '';
  if (code !== 0 || field('xen_major') === '') throw explain(shell, code, err);
  return {
    major: Number(field('xen_major')),
    minor: Number(field('xen_minor')),
    version: field('xen_version'),
    capabilities: field('virt_caps').split(/\s+/),
  };
}

/** Finds a domain by name or number. Errors: MACHINE_NOT_FOUND, PROTOCOL_ERROR, ABORTED. */
export async function findDomain(shell: HostShell, name: string, signal?: AbortSignal): Promise<Domain> {
  const { code, out } = await runOn(shell, 'xl list -l "$1"', [name], signal);
  const list = code === 0 ? (JSON.parse(out) as { domid: number; config: Record<string, unknown> }[]) : [];
  const domain = list[0];
  if (!domain || domain.domid === 0) {
    throw new FitdocError('MACHINE_NOT_FOUND', `There is no guest named ${name} on ${shell.name}.`, {
      hint: '`xl list` shows the names of those that run.',
    });
  }
  const create = domain.config.c_info as Record<string, unknown> | undefined;
  // The number of the running domain must not become part of what a restore creates.
  delete create?.domid;
  return { domid: domain.domid, config: parseGuestConfig(JSON.stringify(domain.config, null, 4)) };
}

export type DomainState = 'running' | 'suspended' | 'paused' | 'absent';

/** How a domain is right now. A domain that is shut down or being destroyed counts as absent. */
export async function domainState(shell: HostShell, name: string): Promise<DomainState> {
  const { code, out } = await runOn(shell, 'xl list "$1"', [name]);
  const flags = code === 0 ? (/ ([-r][-b][-p][-s].[-d]) /.exec(out)?.[1] ?? '') : '';
  if (flags === '' || flags[5] === 'd') return 'absent';
  if (flags[3] === 's') return flags[4] === 's' ? 'suspended' : 'absent';
  return flags[2] === 'p' ? 'paused' : 'running';
}
