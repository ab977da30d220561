import { FitdocError } from '@fitdoc/interface';
import type { Secret } from './secret.js';
import type { SlotRecord } from './slot-record.js';

const KIND_OF: Readonly<Record<Secret['kind'], SlotRecord['kind']>> = {
  passphrase: 'passphrase',
  key: 'key',
  identity: 'recipient',
};

/** KEY_WRONG: what was tried, and what would open the repository. */
export function noSlotOpens(
  secrets: readonly Secret[],
  slots: readonly SlotRecord[],
  location: string,
): FitdocError {
  const details = { slots: slots.map(({ id, kind, label }) => ({ id, kind, label })) };
  if (slots.length === 0) {
    return new FitdocError('REPOSITORY_DAMAGED', `The encrypted repository in ${location} has no key slot.`, {
      hint: 'Bring back the objects under keys/ from a copy: without one of them nothing in it can be read.',
      details,
    });
  }
  const tried = secrets.map((secret) => sentence(secret, slots, location)).join(' ');
  return new FitdocError('KEY_WRONG', tried, { hint: remedy(slots), details });
}

function sentence(secret: Secret, slots: readonly SlotRecord[], location: string): string {
  const like = slots.filter(({ kind }) => kind === KIND_OF[secret.kind]).length;
  if (secret.kind === 'passphrase')
    return like === 0
      ? `The repository in ${location} opens with no passphrase.`
      : `The passphrase ${secret.from} is wrong for the repository in ${location}.`;
  if (secret.kind === 'key') return `The key ${secret.from} is not one of the repository in ${location}.`;
  return `The identity ${secret.from} is no recipient of the repository in ${location}.`;
}

function remedy(slots: readonly SlotRecord[]): string {
  const ways = slots.map((slot) => {
    const label = slot.label && ` "${slot.label}"`;
    if (slot.kind === 'passphrase') return `a passphrase${label} (--passphrase-file)`;
    if (slot.kind === 'key') return `the key${label} ${slot.fingerprint} (--key-file)`;
    return `the identity${label} of ${slot.recipient.slice(0, 24)} (--key-file)`;
  });
  return `It opens with ${[...new Set(ways)].join(', or ')}.`;
}
