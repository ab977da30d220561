import { FitdocError } from '@fitdoc/interface';
import type { DomainState } from '../connection/states.js';

/** `virDomainEventType` of a domain that has ended. */
export const STOPPED = 5;

/** By `virDomainEventStoppedDetailType`. */
const DETAILS = [
  'has powered off',
  'was destroyed',
  'has crashed',
  'was migrated to another host',
  'was saved',
  'has ended: its QEMU failed',
  'was taken to a snapshot',
] as const;

/** Why a domain is gone. */
export function gone(name: string, detail: number): FitdocError {
  const what = DETAILS[detail] ?? 'has ended';
  return new FitdocError('MACHINE_GONE', `The domain ${name} ${what}.`, {
    hint:
      detail === 4
        ? 'It goes on where it was saved: "virsh restore" or "virsh start", then attach anew.'
        : 'Start it again and attach anew, or restore a checkpoint.',
    details: { ended: detail === 0, reason: what },
  });
}

/** MACHINE_NOT_RUNNING of a domain without a QEMU. */
export function notStarted(name: string, state: DomainState): FitdocError {
  return new FitdocError('MACHINE_NOT_RUNNING', `The domain ${name} does not run (libvirt: ${state}).`, {
    hint: `Start it ("virsh start ${name}"); checkpoints go on by themselves then.`,
    retryable: true,
    details: { state },
  });
}

/** LOCATION_INVALID of a domain of another hypervisor. */
export function notQemu(name: string, type: string): FitdocError {
  const xen = /^xen/i.test(type);
  return new FitdocError('LOCATION_INVALID', `The domain ${name} is a guest of ${type}, not of QEMU.`, {
    hint: xen ? `Name it to the adapter for Xen: xen:${name}` : "libvirt: is for QEMU's domains.",
    details: { type },
  });
}
