import type { JobResult } from '../../../lab/src/xen/index.js';
import { host } from './xen.js';

// Where dom0 sees the scripts beside this folder: Node.js finds the packages that they import from there.
const FOLDER = '/project/tools/xen-suite/test/dom0';

/** Runs one of the scripts on the Node.js in dom0. */
export function inDom0(script: string, argument: object): Promise<JobResult> {
  return host.run(`/node/node --expose-gc ${FOLDER}/${script} '${JSON.stringify(argument)}'`, {
    timeoutMs: 850_000,
  });
}
