import { FitdocError, isFitdocError } from '@fitdoc/interface';

/** A device that QEMU can migrate in no way, by its path, as its refusal of a migration names it. */
const DEVICE = /non-migratable device '([^']+)'/;

/** QEMU's refusal of a migration for one of the guest's devices, as what it is; any other error as it was. */
export function asUnmigratable(error: unknown): unknown {
  const said = isFitdocError(error) ? error.details['description'] : undefined;
  const device = DEVICE.exec(typeof said === 'string' ? said : '')?.[1];
  if (device === undefined) return error;
  return new FitdocError(
    'CAPABILITY_MISSING',
    `QEMU cannot migrate this guest: its device ${device} has no state that can be saved.`,
    {
      cause: error,
      hint: 'No guest with such a device can be checkpointed. For an NVMe disk: give it to the guest as virtio-blk, SCSI or IDE.',
      details: { device },
    },
  );
}
