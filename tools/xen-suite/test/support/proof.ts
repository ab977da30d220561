import { destroyGuest, guestWords, waitForSweeps } from '../../../lab/src/xen/index.js';
import { must } from './fitdoc.js';
import { host, sharedFolder } from './xen.js';

/** Restores a checkpoint under another name, by hand: fitdoc writes a file, and `xl restore` takes it. */
export async function restoreByHand(id: string, store: string, name: string, on = host): Promise<void> {
  const file = sharedFolder(`${name}.xen`, on);
  await must('restore', id, '--store', store, '--to', `xen:file:${file.here}`, '--set', `name=${name}`);
  await on.must(`xl restore ${file.inDom0}; status=$?; rm ${file.inDom0}; exit $status`);
}

/** The steps that a domain told first when it had been restored, its memory swept twice and found whole. */
export async function provesItself(name: string, on = host): Promise<number> {
  try {
    await waitForSweeps(on, name, 2);
    return guestWords(on, name)[0]!.steps;
  } finally {
    await destroyGuest(on, name);
  }
}
