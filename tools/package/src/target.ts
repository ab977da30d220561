import { arch } from 'node:process';

/** A kind of host that a package is made for. */
export interface Target {
  /** As Debian calls it. */
  readonly debian: 'amd64' | 'arm64';
  /** As Node.js and npm call it. */
  readonly cpu: 'x64' | 'arm64';
}

const TARGETS: readonly Target[] = [
  { debian: 'amd64', cpu: 'x64' },
  { debian: 'arm64', cpu: 'arm64' },
];

/** The target of an architecture's name, Debian's or Node's. Default: this machine's. */
export function targetOf(name: string = arch): Target {
  const found = TARGETS.find(({ debian, cpu }) => name === debian || name === cpu);
  if (!found) throw new Error(`no package is made for ${name}: take one of amd64, arm64`);
  return found;
}
