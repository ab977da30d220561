import { FitdocError, type RestoreSource } from '@fitdoc/interface';
import { DOMAIN_STATE } from '../attach/door.js';
import type { DomainRecord } from '../helper/commands.js';

/** What a checkpoint keeps of its domain. RESTORE_FAILED where it keeps none: it was not taken through libvirt. */
export function readRecord({ deviceState, info }: RestoreSource): DomainRecord {
  const state = deviceState.find(({ name }) => name === DOMAIN_STATE);
  if (state === undefined)
    throw new FitdocError(
      'RESTORE_FAILED',
      `The checkpoint (taken by way of ${info.scheme}:) knows no domain of libvirt's.`,
      {
        hint: 'Restore it to kvm:, or protect the guest as libvirt:DOMAIN from now on.',
      },
    );
  const record = JSON.parse(Buffer.from(state.bytes).toString('utf8')) as Partial<DomainRecord>;
  if (record.version === 1) return record as DomainRecord;
  throw new FitdocError(
    'RESTORE_FAILED',
    'The checkpoint keeps its domain in a form that this fitdoc does not know.',
    {
      hint: 'Use the fitdoc that took it, or a later one.',
    },
  );
}
