import type { Adapter } from './adapter.js';

/** Every adapter that is part of fitdoc. Its package is loaded when a location first asks for the scheme. */
export const BUILT_IN: readonly Adapter[] = [
  { kind: 'store', scheme: 'fs', packageName: '@fitdoc/store-fs', load: () => import('@fitdoc/store-fs') },
  {
    kind: 'store',
    scheme: 'memory',
    packageName: '@fitdoc/store-memory',
    load: () => import('@fitdoc/store-memory'),
  },
  { kind: 'store', scheme: 's3', packageName: '@fitdoc/store-s3', load: () => import('@fitdoc/store-s3') },
  {
    kind: 'hypervisor',
    scheme: 'mock',
    packageName: '@fitdoc/hypervisor-mock',
    load: () => import('@fitdoc/hypervisor-mock'),
  },
  {
    kind: 'hypervisor',
    scheme: 'kvm',
    packageName: '@fitdoc/hypervisor-kvm',
    load: () => import('@fitdoc/hypervisor-kvm'),
  },
  {
    kind: 'hypervisor',
    scheme: 'libvirt',
    packageName: '@fitdoc/hypervisor-libvirt',
    load: () => import('@fitdoc/hypervisor-libvirt'),
  },
  {
    kind: 'hypervisor',
    scheme: 'xen',
    packageName: '@fitdoc/hypervisor-xen',
    load: () => import('@fitdoc/hypervisor-xen'),
  },
  {
    kind: 'hypervisor',
    scheme: 'xen+ssh',
    packageName: '@fitdoc/hypervisor-xen',
    load: async () => ({ hypervisor: (await import('@fitdoc/hypervisor-xen')).hypervisorSsh }),
  },
];
