import { dataView } from '../../stream/headers.js';

const SHUTDOWN_POWEROFF = 0;
const SHUTDOWN_SUSPEND = 2;
const SHUTDOWN_CRASH = 3;
/** More than any version of Xen writes about a domain. */
const INFO_BYTES = 256;

/** How a domain is. */
export interface DomainFlags {
  readonly present: boolean;
  readonly suspended: boolean;
  /** By its operator: `xl pause`. */
  readonly paused: boolean;
  readonly crashed: boolean;
  /** Shut down in whatever way but by a suspend. */
  readonly shutdown: boolean;
  readonly poweredOff: boolean;
  readonly ended: boolean;
  /** Pages that the domain owns. */
  readonly pages: number;
  /** Milliseconds for which its vCPUs have run, on average. */
  readonly ranMs: number;
}

/** What a version of libxenctrl tells of a domain. */
interface Told {
  readonly dying: boolean;
  readonly paused: boolean;
  /** Why it is shut down, a crash included; undefined when it is not. */
  readonly reason: number | undefined;
  readonly pages: bigint;
  readonly ranNs: bigint;
  readonly vcpus: number;
}

interface StateFunction {
  readonly prototype: string;
  /** Fills `info`; undefined when there is no such domain. */
  readonly ask: (call: Call, xch: unknown, domid: number, info: Uint8Array) => Told | undefined;
}

type Call = (...values: unknown[]) => number;

/** The functions that tell how a domain is, by their names; each version of Xen has one of them. */
const FUNCTIONS = {
  /** Up to Xen 4.17: a struct of libxc's own, xc_dominfo_t. */
  xc_domain_getinfo: {
    prototype: 'int xc_domain_getinfo(void *xch, uint32_t first, unsigned int count, void *info)',
    ask: (call, xch, domid, info) => {
      // It gives the first domain from `domid` on: perhaps another.
      if (call(xch, domid, 1, info) !== 1) return undefined;
      const view = dataView(info);
      if (view.getUint32(0, true) !== domid) return undefined;
      const flags = view.getUint32(8, true);
      // It takes the shutdown bit away from a domain that crashed.
      const reason = flags & 2 ? SHUTDOWN_CRASH : flags & 4 ? view.getUint32(12, true) : undefined;
      return {
        ...{ dying: (flags & 1) !== 0, paused: (flags & 8) !== 0, reason },
        ...{ pages: view.getBigUint64(16, true), ranNs: view.getBigUint64(56, true) },
        vcpus: view.getUint32(72, true),
      };
    },
  },
  /** From Xen 4.18 on: Xen's own struct, xen_domctl_getdomaininfo. */
  xc_domain_getinfo_single: {
    prototype: 'int xc_domain_getinfo_single(void *xch, uint32_t domid, void *info)',
    ask: (call, xch, domid, info) => {
      if (call(xch, domid, info) < 0) return undefined;
      const view = dataView(info);
      const flags = view.getUint32(4, true);
      return {
        ...{ dying: (flags & 1) !== 0, paused: (flags & 8) !== 0 },
        reason: flags & 4 ? (flags >>> 16) & 255 : undefined,
        ...{ pages: view.getBigUint64(8, true), ranNs: view.getBigUint64(56, true) },
        vcpus: view.getUint32(64, true),
      };
    },
  },
} satisfies Record<string, StateFunction>;

export type StateFunctionName = keyof typeof FUNCTIONS;

/** Binds a version's function; what it gives asks how a domain is. */
export function bindState(
  name: StateFunctionName,
  bind: (prototype: string) => Call,
): (xch: unknown, domid: number) => DomainFlags {
  const { prototype, ask } = FUNCTIONS[name];
  const call = bind(prototype);
  const info = Buffer.alloc(INFO_BYTES);
  return (xch, domid) => flagsOf(ask(call, xch, domid, info));
}

function flagsOf(told: Told | undefined): DomainFlags {
  const { reason } = told ?? {};
  const crashed = reason === SHUTDOWN_CRASH;
  const suspended = reason === SHUTDOWN_SUSPEND;
  const shutdown = reason !== undefined && !suspended && !crashed;
  return {
    present: told !== undefined,
    ...{ suspended, crashed, shutdown },
    paused: told?.paused ?? false,
    poweredOff: reason === SHUTDOWN_POWEROFF,
    pages: Number(told?.pages ?? 0),
    ranMs: Number(told?.ranNs ?? 0) / 1e6 / Math.max(1, told?.vcpus ?? 1),
    ended: told === undefined || told.dying || crashed || shutdown,
  };
}
