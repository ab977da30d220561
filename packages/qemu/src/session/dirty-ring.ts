import { isFitdocError } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';

/** A CPU that no machine has. */
const NO_CPU = 0xffff_ffff;

/**
 * Whether KVM logs what the guest writes in a ring, with which COLO aborts QEMU. No command tells; but limiting a CPU's
 * writes needs the ring, and is refused without it before QEMU looks whether there is such a CPU. QEMU before 7.1 lacks
 * the command: then the answer is no.
 */
export async function hasDirtyRing(qmp: QmpClient): Promise<boolean> {
  try {
    await qmp.execute('set-vcpu-dirty-limit', { 'cpu-index': NO_CPU, 'dirty-rate': 1 });
    return false;
  } catch (error) {
    if (qmp.closed.aborted) throw error;
    return isFitdocError(error, 'PROTOCOL_ERROR') && /cpu index/i.test(error.message);
  }
}
