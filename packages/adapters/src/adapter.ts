/** A scheme, and how the code behind it is loaded. */
export interface Adapter {
  readonly kind: 'store' | 'hypervisor';
  readonly scheme: string;
  readonly packageName: string;
  /** Imports the package, which exports `storeFactory` or `hypervisor`. */
  readonly load: () => Promise<unknown>;
}
