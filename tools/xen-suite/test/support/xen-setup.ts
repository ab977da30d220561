import type { TestProject } from 'vitest/node';
import { gate } from '../../../lab/src/gate.js';
import { missingForXen, XenHost } from '../../../lab/src/xen/index.js';
import { WORKERS } from '../../vitest.config.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folders of the running Xen hosts, one for each worker, or why there are none. */
    xen: { readonly folders: readonly string[] } | { readonly missing: string };
  }
}

/** Boots a Xen for each worker, or takes that of FITDOC_XEN_HOST. */
export default async function setup(project: TestProject): Promise<(() => Promise<unknown>) | undefined> {
  const missing = missingForXen();
  if (missing !== undefined && gate('xen', missing).skip) {
    project.provide('xen', { missing });
    return undefined;
  }
  const running = process.env['FITDOC_XEN_HOST'];
  const started = running ? [] : await Promise.all(Array.from({ length: WORKERS }, () => XenHost.start()));
  project.provide('xen', { folders: running ? [running] : started.map(({ folder }) => folder) });
  return () => Promise.all(started.map((host) => host.stop()));
}
