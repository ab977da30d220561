import { destroyGuest, guestWords, waitForSweeps } from '../../../lab/src/xen/index.js';
import { must } from './fitdoc.js';
import { host, sharedFolder } from './xen.js';

/** What the sender of a migration answers to a receiver that has all of the guest. */
const MAY_RUN = 'domain is yours, you are cleared to unpause';

/** A program of the toolstack that makes a domain of a file, and the name that the domain's console then has. */
export interface Receiver {
  readonly program: string;
  readonly command: (file: string) => string;
  readonly consoleOf: (name: string) => string;
}

export const XL_RESTORE: Receiver = {
  program: 'xl restore',
  command: (file) => `xl restore ${file}`,
  consoleOf: (name) => name,
};

export const XL_MIGRATE_RECEIVE: Receiver = {
  program: 'xl migrate-receive',
  command: (file) => `{ cat ${file}; printf '${MAY_RUN}\\0'; } | xl migrate-receive`,
  // The console keeps the name that the domain has until it may run.
  consoleOf: (name) => `${name}--incoming`,
};

/** Restores a checkpoint under another name, by hand: fitdoc writes a file, and a program of the toolstack takes it. */
export async function restoreByHand(
  id: string,
  store: string,
  name: string,
  { on = host, by = XL_RESTORE } = {},
): Promise<void> {
  const file = sharedFolder(`${name}.xen`, on);
  await must('restore', id, '--store', store, '--to', `xen:file:${file.here}`, '--set', `name=${name}`);
  await on.must(`${by.command(file.inDom0)}; status=$?; rm ${file.inDom0}; exit $status`);
}

/** The steps that a domain told first when it had been restored, its memory swept twice and found whole. */
export async function provesItself(name: string, { on = host, by = XL_RESTORE } = {}): Promise<number> {
  try {
    await waitForSweeps(on, by.consoleOf(name), 2);
    return guestWords(on, by.consoleOf(name))[0]!.steps;
  } finally {
    await destroyGuest(on, name);
  }
}
