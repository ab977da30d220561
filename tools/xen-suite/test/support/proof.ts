import { destroyGuest, waitForSweeps } from '../../../lab/src/xen/index.js';
import { host } from './xen.js';

/** What a domain that was just restored said first of itself, its memory swept twice and found whole. */
export async function provesItself(name: string): Promise<number> {
  try {
    await waitForSweeps(host, name, 2);
    const { out } = await host.run(`grep GUEST-OK /var/log/xen/guest-${name}.log | head -n 1`);
    return Number(/steps=(\d+)/.exec(out)![1]);
  } finally {
    await destroyGuest(host, name);
  }
}
