/** What the target of a restore is looked at for. */
export interface TargetQuestion {
  readonly name: string;
  readonly uuid: string;
  readonly emulator: string;
  readonly architecture: string;
  readonly machine: string;
  readonly virtType: string;
  readonly networks: readonly string[];
  readonly secrets: readonly string[];
}

/** A domain that is there already. */
export interface PresentDomain {
  readonly name: string;
  readonly uuid: string;
  readonly active: boolean;
  /** libvirt keeps its definition. */
  readonly persistent: boolean;
}

export interface TargetAnswer {
  readonly named: PresentDomain | null;
  /** The one with the UUID. */
  readonly same: PresentDomain | null;
  /** Why this emulator cannot run such a machine here, in libvirt's words. */
  readonly unfit: string | null;
  readonly missingNetworks: readonly string[];
  /** Networks that are defined and not started. */
  readonly idleNetworks: readonly string[];
  readonly missingSecrets: readonly string[];
  readonly versions: { readonly libvirt: string; readonly hypervisor: string };
}

export interface RestoreQuestion {
  /** A save image, as libvirtd's host names it. */
  readonly path: string;
  readonly paused: boolean;
}

/** A domain of a list, as it stands. */
export interface ListedDomain {
  readonly name: string;
  readonly uuid: string;
  /** libvirt's word, and its number for the reason. */
  readonly state: string;
  readonly reason: number;
  readonly active: boolean;
  readonly xml: string;
}

/** What can be asked of libvirt, and what it answers. */
export interface Questions {
  target: { readonly asked: TargetQuestion; readonly answer: TargetAnswer };
  restore: { readonly asked: RestoreQuestion; readonly answer: null };
  domains: { readonly asked: null; readonly answer: readonly ListedDomain[] };
}
