/** What the helper answers itself, beside QEMU's commands: a `DomainRecord`. */
export const DESCRIBE = 'x-fitdoc-domain';

/** And this: a text that tells this start of the domain from every other. */
export const LIFE = 'x-fitdoc-life';

/** And this: whether libvirt knows the domain as one that runs. QEMU is not asked, which takes libvirt far longer. */
export const RUNS = 'x-fitdoc-runs';

/** What a checkpoint keeps of its domain. It may hold passwords: it is kept like the guest's memory. */
export interface DomainRecord {
  readonly version: 1;
  readonly uri: string;
  readonly name: string;
  readonly uuid: string;
  /** Of libvirt and of the QEMU that it starts, as `9.0.0`. */
  readonly versions: { readonly libvirt: string; readonly hypervisor: string };
  /** The domain as it lives. */
  readonly xml: string;
  /** The domain as it can be brought to life again on another host. */
  readonly migratableXml: string;
}
