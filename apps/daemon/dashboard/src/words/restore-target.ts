import type { MachineStatus } from '../../../src/model.js';

function schemeOf(location: string): string {
  return /^([a-z][a-z0-9+]+):/.exec(location.trim())?.[1] ?? '';
}

/** Never the machine itself: that has to be typed. */
export function suggestedTarget({ location, name }: MachineStatus): string {
  const scheme = schemeOf(location);
  return scheme === 'mock' || scheme === 'xen' ? `${scheme}:${name}-restored` : `${scheme}:`;
}

export function sameTarget(to: string, location: string): boolean {
  const bare = (text: string): string => text.trim().split('?')[0] ?? '';
  return bare(to) === bare(location);
}

const expectations: Readonly<Record<string, string>> = {
  kvm: 'kvm:SOCKET: the QMP socket of a QEMU that waits, started with the options of the original and -incoming defer. Where it can, the guest runs at once, and its memory follows.',
  xen: 'xen:NAME: a domain of that name is made. xen:./FILE writes a file for xl restore.',
  'xen+ssh': 'xen+ssh://HOST/NAME: a domain of that name is made there.',
  mock: 'mock:NAME: a machine of that name inside the daemon.',
};

/** What has to be there for a restore to this location. */
export function expectationOf(to: string): string {
  return expectations[schemeOf(to)] ?? 'SCHEME:LOCATION of a hypervisor, as in the configuration.';
}
