import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from '@fitdoc/interface';
import type { XenInfo } from '../host/xl.js';
import type { DirectPath, DirectRequest } from '../machine/attach.js';
import { bindXen, type XenCalls } from './xen/binding.js';
import { DomainControl } from './xen/control.js';
import { DeviceModel, hasDeviceModel, rescueDeviceModel } from './devices/device-model.js';
import { DirectMachine } from './direct-machine.js';
import { DomainGuard } from './guard/guard-client.js';
import { findLibraries, type XenLibraries } from './xen/libraries.js';
import { lockDomain } from './guard/lock.js';
import { isBeingSaved, letGo, monitorsOf } from './guard/toolstack.js';
import { refusesSuspend, withdrawSuspend } from './pause/suspend.js';

/**
 * How long a guest may take to suspend itself, at least: one with many devices takes seconds, and runs meanwhile.
 */
const SUSPEND_TIMEOUT_MS = 10_000;

/** How long a starting kernel may take to say what it offers. */
const OFFERS_MS = 1000;

/** The direct path on this host, or why it is not there; the stream path needs none of it. */
export async function openDirect(xen: XenInfo): Promise<DirectPath | string> {
  const libraries = findLibraries(xen.major, xen.minor);
  if (typeof libraries === 'string') return libraries;
  let calls: XenCalls;
  try {
    calls = await bindXen(libraries);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return {
    attach: async (request) => attach(calls, libraries, xen, request),
    async revive({ domid, config }, insist) {
      const { inherited, release } = lockDomain(domid);
      try {
        const ours = insist || (inherited && !isBeingSaved(domid));
        if (ours) withControl(calls, domid, (control) => mend(calls, control, config.name));
        return ours;
      } finally {
        release();
      }
    },
    rescue: async (domid) => withControl(calls, domid, (control) => resumeSuspended(calls, control)),
    hasDeviceModel: ({ domid }) => hasDeviceModel(domid),
    async refusesSuspend({ domid }) {
      const refuses = () => withControl(calls, domid, refusesSuspend);
      if (!refuses()) return false;
      // A kernel that starts writes its offers one after the other.
      await sleep(OFFERS_MS);
      return refuses();
    },
    deviceModelOf: ({ domid }) => (hasDeviceModel(domid) ? versionOf(calls, domid) : undefined),
  };
}

function withControl<Result>(
  calls: XenCalls,
  domid: number,
  use: (control: DomainControl) => Result,
): Result {
  const control = new DomainControl(calls, domid);
  try {
    return use(control);
  } finally {
    control.close();
  }
}

function versionOf(calls: XenCalls, domid: number): string {
  const devices = new DeviceModel(calls, domid);
  try {
    return devices.version();
  } finally {
    devices.close();
  }
}

function resumeSuspended(calls: XenCalls, control: DomainControl): void {
  if (control.flags().suspended) {
    rescueDeviceModel(calls, control.domid);
    control.resume();
  }
  // Also of one that was resumed by who died before it told of it.
  control.announceResume();
}

/** What a process that died with its guard left: the guest suspended, or its resume untold; its monitors halted. */
function mend(calls: XenCalls, control: DomainControl, name: string): void {
  withdrawSuspend(control);
  resumeSuspended(calls, control);
  letGo(monitorsOf(name));
}

function attach(
  calls: XenCalls,
  libraries: XenLibraries,
  xen: XenInfo,
  { domain, info, limits, config }: DirectRequest,
): Machine {
  const { inherited, release } = lockDomain(domain.domid);
  let control: DomainControl | undefined;
  try {
    const limitMs = config.pauseLimitSeconds * 1000;
    control = new DomainControl(calls, domain.domid);
    if (inherited && !isBeingSaved(domain.domid)) mend(calls, control, domain.config.name);
    return new DirectMachine({
      control,
      ...(domain.config.guestType === 'hvm' && { devices: new DeviceModel(calls, domain.domid) }),
      guard: new DomainGuard(libraries, domain.domid, limitMs),
      info,
      configText: domain.config.text,
      xen,
      pauseLimitMs: limitMs,
      suspendTimeoutMs: Math.max(limitMs, SUSPEND_TIMEOUT_MS),
      limits,
      release,
    });
  } catch (error) {
    control?.close();
    release();
    throw error;
  }
}
