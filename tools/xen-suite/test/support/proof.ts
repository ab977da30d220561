import { destroyGuest, guestWords, waitForSweeps } from '../../../lab/src/xen/index.js';
import { host } from './xen.js';

/** The steps that a domain told first when it had been restored, its memory swept twice and found whole. */
export async function provesItself(name: string): Promise<number> {
  try {
    await waitForSweeps(host, name, 2);
    return guestWords(host, name)[0]!.steps;
  } finally {
    await destroyGuest(host, name);
  }
}
