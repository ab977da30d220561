import { FitdocError } from '@fitdoc/interface';

/** Where a domain is. */
export interface DomainLocation {
  /** libvirt's own URI of a hypervisor. */
  readonly uri: string;
  /** A name, or a UUID. */
  readonly domain: string;
}

/** Of the domains that belong to the host. */
const SYSTEM = 'qemu:///system';

/** Reads `DOMAIN` or `URI#DOMAIN`. The URI of the first is LIBVIRT_DEFAULT_URI, else the system's. LOCATION_INVALID. */
export function parseDomainLocation(text: string, env: NodeJS.ProcessEnv = process.env): DomainLocation {
  const cut = text.lastIndexOf('#');
  const domain = text.slice(cut + 1);
  const uri = cut < 0 ? env['LIBVIRT_DEFAULT_URI'] || SYSTEM : text.slice(0, cut);
  if (domain === '' || !/^[a-z][a-z0-9+.-]*:\/\//i.test(uri))
    throw new FitdocError('LOCATION_INVALID', `"libvirt:${text}" names no domain.`, {
      hint: 'Write libvirt:DOMAIN or libvirt:URI#DOMAIN, as libvirt:web or libvirt:qemu:///session#web.',
    });
  return { uri, domain };
}

/** The location of a domain as people type it. */
export function formatDomainLocation({ uri, domain }: DomainLocation): string {
  return uri === SYSTEM ? `libvirt:${domain}` : `libvirt:${uri}#${domain}`;
}
