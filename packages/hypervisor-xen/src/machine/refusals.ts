import { FitdocError } from '@fitdoc/interface';
import type { Domain } from '../host/xl.js';

/** Who can ask a guest. */
interface Asker {
  /** Whether a guest tells what it does when it is asked, and a suspend is not among it. */
  refusesSuspend(domain: Domain): Promise<boolean>;
}

/**
 * Why a domain cannot be captured in any way, however it stands: CAPABILITY_MISSING; undefined when nothing speaks
 * against it. Without the direct path nobody can tell whether the guest suspends itself.
 */
export async function refusalOf(domain: Domain, direct: Asker | undefined): Promise<FitdocError | undefined> {
  const { name, passedThrough } = domain.config;
  if (passedThrough.length > 0) {
    return new FitdocError(
      'CAPABILITY_MISSING',
      `The guest ${name} has devices of the host passed through (${passedThrough.join(', ')}).`,
      {
        hint: 'Xen logs no dirty pages then, and such a device’s own state cannot be taken: `xl pci-detach` them first.',
      },
    );
  }
  if ((await direct?.refusesSuspend(domain)) !== true) return undefined;
  return new FitdocError('CAPABILITY_MISSING', `The guest ${name} does not offer to suspend itself.`, {
    hint: 'Its kernel must: Linux does when it is built with CONFIG_HIBERNATE_CALLBACKS; control/feature-suspend in xenstore tells.',
  });
}
