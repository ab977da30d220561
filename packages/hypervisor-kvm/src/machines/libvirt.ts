import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { FitdocError } from '@fitdoc/interface';

/** libvirt's folder of a running domain, `domain-ID-NAME`; a long name is cut there. */
const DOMAIN_FOLDER = /^domain-\d+-(.+)$/;

/** The domain whose own monitor socket of libvirt's this is; undefined for any other path. */
export function libvirtDomainOf(path: string): string | undefined {
  if (basename(path) !== 'monitor.sock') return undefined;
  const folder = dirname(path);
  const name = DOMAIN_FOLDER.exec(basename(folder))?.[1];
  if (name === undefined) return undefined;
  // Beside the socket libvirt keeps the key for what it tells QEMU in secret: no folder of anybody else's has both.
  const isLibvirts =
    /(^|\/)libvirt\/qemu(\/lib)?$/.test(dirname(folder)) || existsSync(`${folder}/master-key.aes`);
  return isLibvirts ? name : undefined;
}

/** MACHINE_BUSY for a socket that is libvirt's own: a client there would be in its way, or shut it out. */
export function belongsToLibvirt(name: string): FitdocError {
  return new FitdocError('MACHINE_BUSY', `This QMP socket is libvirt's own, for its domain ${name}.`, {
    hint: `Name the domain instead: libvirt:${name}`,
    details: { elsewhere: `libvirt:${name}` },
  });
}

/** Throws `belongsToLibvirt` before anything is connected to. */
export function refuseLibvirts(path: string): void {
  const domain = libvirtDomainOf(path);
  if (domain !== undefined) throw belongsToLibvirt(domain);
}
