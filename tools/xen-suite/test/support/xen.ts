import { join } from 'node:path';
import { beforeAll, describe, inject } from 'vitest';
import { ensureGuest, XenHost } from '../../../lab/src/xen/index.js';

/** The guest that the files share: PVH, proving its own memory. */
export const GUEST = 'proof';

const provided = inject('xen');

// Vitest numbers its workers from 1.
const worker = Number(process.env['VITEST_POOL_ID']) - 1;

/** The Xen host of this worker. Only inside of `onXen`. */
export const host = XenHost.attach(
  'folders' in provided ? provided.folders[worker % provided.folders.length]! : '',
);

/** A suite on the real Xen; its title says why it does not run where it does not. */
export function onXen(title: string, body: () => void): void {
  if ('missing' in provided) describe.skip(`${title} (not run: ${provided.missing})`, body);
  else describe(title, body);
}

/** Sees to it that GUEST is there and well before the tests of this suite. */
export function withGuest(): void {
  beforeAll(() => ensureGuest(host, { name: GUEST, type: 'pvh' }));
}

/** A folder of this machine that dom0 sees as `path`, for a repository that both use. */
export function sharedFolder(name: string, on = host): { readonly here: string; readonly inDom0: string } {
  return { here: join(on.shared, name), inDom0: `/host/${name}` };
}

/** Where a guest is, from outside of dom0, and what the adapter must know to get there. */
export function overSsh(name: string): { readonly location: string; readonly settings: string[] } {
  return { location: `xen+ssh://dom0/${name}`, settings: ['--set', `sshConfig=${host.sshConfig}`] };
}
