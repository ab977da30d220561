import type { TestProject } from 'vitest/node';
import { gate } from '../../../lab/src/gate.js';
import { missingForXen, XenHost } from '../../../lab/src/xen/index.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of the running Xen host, or why there is none. */
    xen: { readonly folder: string } | { readonly missing: string };
  }
}

/** Boots one Xen for the whole run, or takes that of FITDOC_XEN_HOST. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const missing = missingForXen();
  if (missing !== undefined && gate('xen', missing).skip) {
    project.provide('xen', { missing });
    return undefined;
  }
  const running = process.env['FITDOC_XEN_HOST'];
  const host = running === undefined ? await XenHost.start() : XenHost.attach(running);
  project.provide('xen', { folder: host.folder });
  return () => host.stop();
}
