import { FitdocError } from '@fitdoc/interface';
import type { SlotRecord } from './slot-record.js';

/** ARGUMENT_INVALID: a change of keys would leave these out. */
export function wouldLose(slots: readonly SlotRecord[]): FitdocError {
  const ways = ['Give their secrets too, remove them first, or say --drop to leave them out.'];
  if (slots.some(({ kind }) => kind === 'recipient'))
    ways.push(
      'A recipient that you know is kept with --recipient; whoever can write into the store can add one.',
    );
  return new FitdocError(
    'ARGUMENT_INVALID',
    `With a new key these would no longer open the repository: ${named(slots)}.`,
    { hint: ways.join(' '), details: { slots: slots.map(({ id }) => id) } },
  );
}

/** KEY_WRONG: who goes on from older keys would delete what holds the newer ones. */
export function newerKey(slots: readonly SlotRecord[], location: string): FitdocError {
  return new FitdocError(
    'KEY_WRONG',
    `The repository in ${location} has a newer key, which would be lost: it is in ${named(slots)}.`,
    {
      hint: "Open the repository anew, with a secret of that slot too. Where the slot is nobody's, delete its object under keys/.",
      details: { slots: slots.map(({ id }) => id) },
    },
  );
}

/** ARGUMENT_INVALID: what is sealed with the slot's newest key could not be read any more. */
export function lastOfItsKey(slot: SlotRecord): FitdocError {
  return new FitdocError(
    'ARGUMENT_INVALID',
    `No other slot has the newest key of ${named([slot])}: what is sealed with it could not be read any more.`,
    {
      hint: 'Make a new key first, with fitdoc key rotate: it takes this one over.',
      details: { slot: slot.id, keyId: slot.keyId },
    },
  );
}

/** REPOSITORY_DAMAGED: who goes by it may seal with a key of before a change of keys, or remove the last slot of one. */
export function saysOtherKeys(slot: SlotRecord): FitdocError {
  return new FitdocError(
    'REPOSITORY_DAMAGED',
    `The key slot ${named([slot])} was changed: it says that it holds other keys than it does.`,
    {
      hint: `Bring back keys/${slot.id}.json from a copy, or delete it if another slot opens the repository.`,
      details: { slot: slot.id },
    },
  );
}

/** REPOSITORY_DAMAGED: nobody has so many passphrases, and whoever tries one against all of them is held up. */
export function tooMuchWork(location: string, asked: number, most: number): FitdocError {
  const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
  return new FitdocError(
    'REPOSITORY_DAMAGED',
    `The passphrase slots of the repository in ${location} ask for ${gib(asked)} GiB of scrypt in all; no more than ${gib(most)} are tried.`,
    {
      hint: "Open it with a key file or an age identity (--key-file), or delete the slots under keys/ that are nobody's: whoever can write into the store can put some there.",
      details: { asked, most },
    },
  );
}

/** ARGUMENT_INVALID. */
export function noMorePassphrases(): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', 'The repository has as many passphrases as are tried.', {
    hint: 'Remove one that is no longer needed (fitdoc key list, key remove), or add a key file: those cost nothing to try.',
  });
}

function named(slots: readonly SlotRecord[]): string {
  return slots
    .map((slot) => {
      const what = slot.kind === 'recipient' ? slot.recipient.slice(0, 80) : slot.label;
      return `${slot.id} (${slot.kind}${what && `, ${what}`})`;
    })
    .join(', ');
}
