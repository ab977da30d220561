import { FitdocError } from '@fitdoc/interface';
import type { LibvirtFault } from './binding.js';

// Numbers of virErrorNumber.
const INTERNAL = 1;
const NO_CONNECT = 5;
const OPERATION_DENIED = 29;
const SYSTEM = 38;
const NO_DOMAIN = 42;
const AUTH_FAILED = 45;
const AUTH_CANCELLED = 79;
const ACCESS_DENIED = 88;
const AUTH_UNAVAILABLE = 93;

const DENIED = new Set([OPERATION_DENIED, AUTH_FAILED, AUTH_CANCELLED, ACCESS_DENIED, AUTH_UNAVAILABLE]);

/** Whether libvirt says that there is no such domain. */
export function isNoDomain(fault: LibvirtFault | undefined): boolean {
  return fault?.code === NO_DOMAIN;
}

/** Why a connection to `uri` could not be opened. */
export function cannotConnect(uri: string, fault: LibvirtFault | undefined): FitdocError {
  const said = fault?.message ?? 'no reason given';
  const details = { uri, ...(fault && { libvirt: fault.code }) };
  if ((fault && DENIED.has(fault.code)) || /permission denied/i.test(said))
    return new FitdocError('MACHINE_NOT_FOUND', `libvirt at ${uri} lets this user not in: ${said}`, {
      hint: 'Run fitdoc as root, or as a member of the group that libvirt trusts (Debian: libvirt).',
      details: { ...details, denied: true },
    });
  const down = fault?.code === SYSTEM || fault?.code === INTERNAL;
  return new FitdocError('MACHINE_NOT_FOUND', `No libvirt answers at ${uri}: ${said}`, {
    hint:
      down || fault?.code === NO_CONNECT
        ? 'Start libvirtd (or virtqemud), and check the URI: "virsh -c URI list" must work.'
        : 'Check the URI: "virsh -c URI list" must work.',
    retryable: down,
    details,
  });
}

/** What libvirt refused, with its own words. */
export function refusedBy(what: string, fault: LibvirtFault | undefined): FitdocError {
  return new FitdocError(
    'PROTOCOL_ERROR',
    `libvirt refused ${what}: ${fault?.message ?? 'no reason given'}`,
    {
      hint: "The message is libvirt's own; its log may say more.",
      details: { ...(fault && { libvirt: fault.code, description: fault.message }) },
    },
  );
}
