import type { Machine } from '@fitdoc/interface';
import type { XenInfo } from '../host/xl.js';
import type { DirectPath, DirectRequest } from '../machine/attach.js';
import { bindXen, type XenCalls } from './binding.js';
import { DomainControl } from './control.js';
import { DirectMachine } from './direct-machine.js';
import { DomainGuard } from './guard-client.js';
import { findLibraries, type LibraryPaths } from './libraries.js';
import { lockDomain } from './lock.js';

/** The direct path on this host, or why it is not there; the stream path needs none of it. */
export async function openDirect(xen: XenInfo): Promise<DirectPath | string> {
  const paths = findLibraries(xen.major, xen.minor);
  if (typeof paths === 'string') return paths;
  let calls: XenCalls;
  try {
    calls = await bindXen(paths);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return {
    attach: async (request) => attach(calls, paths, xen, request),
    async rescue(domid) {
      const control = new DomainControl(calls, domid);
      try {
        if (control.flags().suspended) control.resume();
      } finally {
        control.close();
      }
    },
  };
}

function attach(
  calls: XenCalls,
  paths: LibraryPaths,
  xen: XenInfo,
  { domain, info, limits, config }: DirectRequest,
): Machine {
  const release = lockDomain(domain.domid);
  try {
    const limitMs = config.pauseLimitSeconds * 1000;
    return new DirectMachine({
      control: new DomainControl(calls, domain.domid),
      guard: new DomainGuard(paths, domain.domid, limitMs),
      info,
      configText: domain.config.text,
      xen,
      suspendTimeoutMs: limitMs,
      limits,
      release,
    });
  } catch (error) {
    release();
    throw error;
  }
}
