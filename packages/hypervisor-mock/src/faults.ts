import type { Settings } from './settings.js';

/** What goes wrong, on demand. Counts are in captures since the attach, from 1. */
export interface Faults {
  /** Every n-th read of the dirty log fails, inside the pause. */
  failHarvest?: number;
  /** Every n-th capture fails when half of its pages are in the sink. */
  failCapture?: number;
  /** Every n-th save of the device state fails, inside the pause. */
  failDevice?: number;
  /** Every n-th capture puts a page that the machine does not have. */
  strayPage?: number;
  /** Of every n-th capture the disks are lost when half of each is read. */
  failDisk?: number;
  /** The machine dies in the pause of the n-th capture. */
  dieAt?: number;
  /** The n-th capture fails and cannot resume the guest. */
  leavePaused?: number;
  /** The operator stops the guest after the n-th capture. */
  stopAfter?: number;
  /** And lets it run after so many milliseconds; without it for good. */
  stopFor?: number;
  /** The guest powers off after the n-th capture. */
  powerOff?: number;
  /** Milliseconds that the device state takes, inside the pause. */
  slowDevice?: number;
  /** Milliseconds that a capture takes after the pause. */
  slowCapture?: number;
  /** Milliseconds before a disk is read. */
  slowDisk?: number;
}

/** The faults among the settings of an attach. */
export function faultsOf(settings: Settings): Faults {
  const names: Record<string, keyof Faults> = {
    'fail-harvest': 'failHarvest',
    'fail-capture': 'failCapture',
    'fail-device': 'failDevice',
    'stray-page': 'strayPage',
    'fail-disk': 'failDisk',
    'die-at': 'dieAt',
    'leave-paused': 'leavePaused',
    'stop-after': 'stopAfter',
    'stop-for': 'stopFor',
    'power-off': 'powerOff',
    'slow-device': 'slowDevice',
    'slow-capture': 'slowCapture',
    'slow-disk': 'slowDisk',
  };
  const faults: Faults = {};
  for (const [name, value] of Object.entries(settings)) {
    const fault = names[name];
    if (fault) faults[fault] = value as number;
  }
  return faults;
}

/** Whether a fault of every `n`-th capture strikes in capture `count`. */
export function strikes(n: number | undefined, count: number): boolean {
  return n !== undefined && n > 0 && count % n === 0;
}
