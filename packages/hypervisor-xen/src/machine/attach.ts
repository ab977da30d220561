import { FitdocError, type AttachOptions, type Machine, type MachineInfo } from '@fitdoc/interface';
import type { HostShell } from '../host/shell.js';
import { findDomain, type Domain, type XenInfo } from '../host/xl.js';
import { regionsFor } from '../memory/pfn-space.js';
import { readConfig, type XenConfig } from './config.js';
import { StreamMachine } from './stream-machine.js';

export type CapturePath = 'direct' | 'remus' | 'save';

/** What a domain is, as a checkpoint records it. */
export function machineInfo(domain: Domain, xen: XenInfo, scheme: string, machineId?: string): MachineInfo {
  const { config } = domain;
  const id = machineId ?? (config.uuid === '' ? config.name : config.uuid);
  return {
    id: id.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 64),
    name: config.name,
    hypervisor: `xen ${xen.version || `${xen.major}.${xen.minor}`}`,
    scheme,
    architecture: 'x86_64',
    regions: regionsFor(config),
    platform: {
      guestType: config.guestType,
      vcpus: config.vcpus,
      maxMemoryKiB: config.maxMemoryKiB,
      xen: `${xen.major}.${xen.minor}`,
      nics: config.nics,
    },
    disks: config.disks,
  };
}

/** The ways to capture a domain, best first, and what each cannot do. */
export function capturePaths(domain: Domain, xen: XenInfo, direct: boolean): CapturePath[] {
  const { guestType } = domain.config;
  if (guestType === 'pv') return xen.capabilities.includes('shadow') ? ['remus', 'save'] : ['save'];
  // The state of an HVM guest's device model comes through the toolstack only.
  return direct && guestType === 'pvh' ? ['direct', 'remus', 'save'] : ['remus', 'save'];
}

function limitsOf(path: CapturePath, domain: Domain, xen: XenInfo): string[] {
  const limits: string[] = [];
  if (path === 'save' && domain.config.guestType === 'pv' && !xen.capabilities.includes('shadow')) {
    limits.push(
      'No increments: this Xen is built without shadow paging, so it cannot log the dirty pages of a PV guest.',
    );
  }
  if (path === 'save') {
    limits.push('The guest is suspended while all of its memory is read: the pause grows with the memory.');
  }
  if (path === 'remus')
    limits.push('The pause is measured from the stream, without the guest’s own suspend.');
  if (domain.config.nics > 0)
    limits.push('Packets in flight are not held back: a restored guest may see them lost.');
  // The process that `xl create` leaves behind takes a suspend that it sees for the end of its guest.
  limits.push(
    'Once the guest has been suspended, xl may act no longer on its power-off, reboot or crash, as after `xl save -c`.',
  );
  return limits;
}

function refuseDisks(domain: Domain, options: AttachOptions): void {
  const writable = domain.config.disks.filter((disk) => disk.writable);
  if (writable.length === 0 || options.disks === 'external') return;
  throw new FitdocError(
    'MACHINE_HAS_DISKS',
    `The guest ${domain.config.name} can write to ${writable.map((disk) => disk.name).join(', ')}.`,
    {
      hint: 'Checkpoints hold memory only: keep the disks consistent yourself and attach with disks "external".',
    },
  );
}

/** A domain to be captured, and what was found out about it. */
export interface DirectRequest {
  readonly domain: Domain;
  readonly info: MachineInfo;
  readonly limits: readonly string[];
  readonly config: XenConfig;
}

/** How a path of capture is opened; the direct one is there only where Xen's libraries are. */
export interface DirectPath {
  attach(request: DirectRequest): Promise<Machine>;
  rescue(domid: number): Promise<void>;
}

/**
 * Attaches to a domain by the best path that the host and the guest allow, or the one that `config.path` names.
 * Errors: those of `Hypervisor.attach`.
 */
export async function attachDomain(
  shell: HostShell,
  name: string,
  scheme: string,
  options: AttachOptions,
  openDirect?: (xen: XenInfo) => Promise<DirectPath | string>,
): Promise<Machine> {
  const config = readConfig(options.config);
  const { xen, domain } = await findDomain(shell, name, options.signal);
  refuseDisks(domain, options);
  const opened = (await openDirect?.(xen)) ?? 'it is there on the Xen host itself only';
  const direct = typeof opened === 'string' ? undefined : opened;
  const paths = capturePaths(domain, xen, direct !== undefined);
  const path = config.path ?? paths[0]!;
  if (!paths.includes(path)) {
    throw new FitdocError('CAPABILITY_MISSING', `The guest ${name} cannot be captured by way of ${path}.`, {
      hint: `Possible here: ${paths.join(', ')}. ${limitsOf('save', domain, xen)[0]}`,
    });
  }
  const info = machineInfo(domain, xen, scheme, options.machineId);
  const limits = limitsOf(path, domain, xen);
  if (path === 'direct' && direct) return await direct.attach({ domain, info, limits, config });
  return new StreamMachine(shell, {
    mode: path === 'save' ? 'save' : 'remus',
    domain: String(domain.domid),
    info,
    limits: [
      ...limits,
      ...(typeof opened === 'string' && domain.config.guestType === 'pvh'
        ? [`The dirty log is not read directly: ${opened}.`]
        : []),
    ],
    intervalMs: Math.min(1000, Math.max(50, options.intervalMs ?? 200)),
    pauseLimitSeconds: config.pauseLimitSeconds,
    ...(config.holdPages !== undefined && { holdPages: config.holdPages }),
    ...(direct && { rescue: () => direct.rescue(domain.domid) }),
  });
}
