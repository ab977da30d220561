import {
  chooseDisks,
  FitdocError,
  type AttachOptions,
  type Machine,
  type MachineInfo,
} from '@fitdoc/interface';
import type { HostShell } from '../host/shell.js';
import { findDomain, standingOf, type Domain, type XenInfo } from '../host/xl.js';
import { regionsFor } from '../memory/pfn-space.js';
import { readConfig, type XenConfig } from './config.js';
import { refusalOf } from './refusals.js';
import { notRunning } from '../host/states.js';
import { StreamMachine } from './stream-machine.js';

export type CapturePath = 'direct' | 'remus' | 'save';

/** What a domain is, as a checkpoint records it. */
export function machineInfo(
  domain: Domain,
  xen: XenInfo,
  scheme: string,
  { machineId, deviceModel }: { readonly machineId?: string; readonly deviceModel?: string } = {},
): MachineInfo {
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
      ...(deviceModel !== undefined && { deviceModel: `qemu ${deviceModel}` }),
    },
    disks: config.disks,
  };
}

/**
 * The ways to capture a domain, best first; `direct` where Xen's libraries are there, and the device model of an HVM
 * guest can be asked.
 */
export function capturePaths(domain: Domain, xen: XenInfo, direct: boolean): CapturePath[] {
  const { guestType } = domain.config;
  if (guestType === 'pv') return xen.capabilities.includes('shadow') ? ['remus', 'save'] : ['save'];
  return direct ? ['direct', 'remus', 'save'] : ['remus', 'save'];
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
  // The process that `xl create` leaves behind takes a suspend that it sees for the end of its guest; by the dirty
  // log it is halted meanwhile.
  if (path !== 'direct') {
    limits.push(
      'Once the guest has been suspended, xl may act no longer on its power-off, reboot or crash, as after `xl save -c`.',
    );
  }
  return limits;
}

/** The domain with its disks as the attachment takes them. Errors: those of `chooseDisks`. */
function withChosenDisks(domain: Domain, options: AttachOptions): Domain {
  const { disks } = chooseDisks(domain.config.disks, options, false);
  return { ...domain, config: { ...domain.config, disks } };
}

/** What there is of the direct path for a domain, and why it cannot be taken. */
export function directPath(
  domain: Domain,
  opened: DirectPath | string = 'it is there on the Xen host itself only',
): { readonly direct?: DirectPath; readonly why?: string } {
  if (typeof opened === 'string') return { why: opened };
  const { guestType, plainDeviceModel } = domain.config;
  if (guestType !== 'hvm') return { direct: opened };
  if (plainDeviceModel && opened.hasDeviceModel(domain)) return { direct: opened };
  return { direct: opened, why: 'the device model is no QEMU of this dom0 that can be asked' };
}

/** A suspended domain is left so, but for one that a fitdoc which died here left, or that we are told to resume. */
async function refuseStanding(
  shell: HostShell,
  domain: Domain,
  config: XenConfig,
  direct: DirectPath | undefined,
): Promise<void> {
  const standing = await standingOf(shell, String(domain.domid));
  if (standing === undefined) return;
  if (standing !== 'suspended' || !(await direct?.revive(domain, config.resume))) throw notRunning(standing);
}

/** The device model's version; a way that does without the device model does without it, too. */
function versionOf(direct: DirectPath, domain: Domain, path: CapturePath): string | undefined {
  try {
    return direct.deviceModelOf(domain);
  } catch (error) {
    if (path === 'direct') throw error;
    return undefined;
  }
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
  /** Resumes a suspended domain that a process which died here left so, or any if `insist`; false when it is not that. */
  revive(domain: Domain, insist: boolean): Promise<boolean>;
  rescue(domid: number): Promise<void>;
  /** Whether a domain's device model is a QEMU of this dom0, which can be asked. */
  hasDeviceModel(domain: Domain): boolean;
  /** Whether a guest tells what it does when it is asked, and a suspend is not among it. */
  refusesSuspend(domain: Domain): Promise<boolean>;
  /** Its version, where it is. Errors: CAPTURE_FAILED. */
  deviceModelOf(domain: Domain): string | undefined;
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
  const { xen, domain: found } = await findDomain(shell, name, options.signal);
  const domain = withChosenDisks(found, options);
  const { direct, why } = directPath(domain, await openDirect?.(xen));
  const paths = capturePaths(domain, xen, why === undefined);
  const path = config.path ?? paths[0]!;
  if (!paths.includes(path)) {
    throw new FitdocError('CAPABILITY_MISSING', `The guest ${name} cannot be captured by way of ${path}.`, {
      hint: `Possible here: ${paths.join(', ')}. ${why === undefined ? '' : `Not by the dirty log: ${why}. `}${limitsOf('save', domain, xen)[0]}`,
    });
  }
  const refusal = await refusalOf(domain, direct);
  if (refusal) throw refusal;
  await refuseStanding(shell, domain, config, direct);
  const deviceModel = direct && versionOf(direct, domain, path);
  const { machineId } = options;
  const info = machineInfo(domain, xen, scheme, {
    ...(machineId !== undefined && { machineId }),
    ...(deviceModel !== undefined && { deviceModel }),
  });
  const limits = limitsOf(path, domain, xen);
  if (path === 'direct' && direct) return await direct.attach({ domain, info, limits, config });
  return new StreamMachine(shell, {
    mode: path === 'save' ? 'save' : 'remus',
    domain: String(domain.domid),
    info,
    limits: [
      ...limits,
      ...(why !== undefined && domain.config.guestType !== 'pv'
        ? [`The dirty log is not read directly: ${why}.`]
        : []),
    ],
    intervalMs: Math.min(1000, Math.max(50, options.intervalMs ?? 200)),
    pauseLimitSeconds: config.pauseLimitSeconds,
    ...(config.holdPages !== undefined && { holdPages: config.holdPages }),
    ...(direct && { rescue: () => direct.rescue(domain.domid) }),
  });
}
