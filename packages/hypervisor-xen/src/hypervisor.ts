import { FitdocError, type Hypervisor } from '@fitdoc/interface';
import { openDirect } from './direct/open.js';
import { LocalShell, SshShell, type HostShell } from './host/shell.js';
import { attachDomain } from './machine/attach.js';
import { findMachines } from './machine/list.js';
import { restoreDomain, restoreFile } from './restore/restore.js';

const DOMAIN = /^[A-Za-z0-9_.:+-]+$/;

function invalid(location: string, form: string): FitdocError {
  return new FitdocError(
    'LOCATION_INVALID',
    `${location || 'An empty location'} does not name a Xen domain.`,
    {
      hint: `Write ${form}.`,
    },
  );
}

function domainName(name: string, form: string): string {
  if (!DOMAIN.test(name) || name.startsWith('-')) throw invalid(name, form);
  return name;
}

/** The path in a location that means a file. */
function fileIn(location: string): string | undefined {
  if (location.startsWith('file:')) return location.slice('file:'.length);
  return location.includes('/') ? location : undefined;
}

/** Takes `//[user@]host[:port]/DOMAIN` apart. */
function remote(
  location: string,
  config: Readonly<Record<string, unknown>> = {},
): { shell: HostShell; name: string } {
  const form = 'xen+ssh://[USER@]HOST[:PORT]/DOMAIN';
  const parts = /^\/\/((?:[\w.-]+@)?[\w][\w.-]*)(?::(\d+))?\/([^/]+)$/.exec(location);
  if (!parts) throw invalid(location, form);
  const { ssh, sshConfig, sshOptions } = config;
  const shell = new SshShell({
    destination: parts[1]!,
    ...(parts[2] !== undefined && { port: Number(parts[2]) }),
    ...(typeof ssh === 'string' && { program: ssh }),
    ...(typeof sshConfig === 'string' && { config: sshConfig }),
    ...(Array.isArray(sshOptions) && { extra: sshOptions.map(String) }),
  });
  return { shell, name: domainName(decodeURIComponent(parts[3]!), form) };
}

/**
 * Guests of the Xen host that this process runs on (in dom0, as root): `xen:DOMAIN`. A restore's location is
 * the name of the domain to make, or `file:PATH` (or a path with a slash in it): then a file for `xl restore` is
 * written.
 */
export const hypervisor: Hypervisor = {
  specificationVersion: 'hypervisor-v1',
  scheme: 'xen',
  supports: Object.freeze({ attach: true, restore: true, machines: true }),
  async attach(location, options = {}) {
    const name = domainName(location, 'xen:DOMAIN');
    return await attachDomain(new LocalShell(), name, 'xen', options, openDirect);
  },
  async restore(location, source, options = {}) {
    const file = fileIn(location);
    if (file !== undefined) return await restoreFile(file, source, options);
    return await restoreDomain(
      new LocalShell(),
      domainName(location, 'xen:DOMAIN or xen:./FILE'),
      source,
      options,
    );
  },
  async machines(options) {
    return await findMachines(new LocalShell(), openDirect, options);
  },
};

/** Guests of another Xen host, reached by ssh as root: `xen+ssh://HOST/DOMAIN`. Nothing is installed there. */
export const hypervisorSsh: Hypervisor = {
  specificationVersion: 'hypervisor-v1',
  scheme: 'xen+ssh',
  supports: Object.freeze({ attach: true, restore: true }),
  async attach(location, options = {}) {
    const { shell, name } = remote(location, options.config);
    return await attachDomain(shell, name, 'xen+ssh', options);
  },
  async restore(location, source, options = {}) {
    const { shell, name } = remote(location, options.config);
    return await restoreDomain(shell, name, source, options);
  },
};
