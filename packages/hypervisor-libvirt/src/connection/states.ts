/** libvirt's names of a domain's states, by `virDomainState`, as `virsh` prints them. */
export const STATES = [
  'no state',
  'running',
  'idle',
  'paused',
  'in shutdown',
  'shut off',
  'crashed',
  'pmsuspended',
] as const;

export type DomainState = (typeof STATES)[number];

/** Reason of a pause that somebody asked for, of `virDomainPausedReason`. */
export const PAUSED_BY_USER = 1;
