import type { Handle, Libvirt } from './binding.js';

/** What a domain needs of the connection that it came by. */
export interface ConnectionCalls {
  readonly libvirt: Libvirt;
  readonly handle: Handle;
  readonly uri: string;
  /** Aborted when libvirt has ended the connection. */
  readonly closed: AbortSignal;
  /** Calls a function of libvirt's after all earlier ones. PROTOCOL_ERROR with libvirt's words, MACHINE_GONE. */
  call<Result>(what: string, name: string, ...args: unknown[]): Promise<Result>;
  /** Versions as `9.0.0`: of libvirt, and of the QEMU that it would start. */
  versions(): Promise<{ readonly libvirt: string; readonly hypervisor: string }>;
}
