import { bindState, type DomainFlags } from './domain-state.js';
import type { XenLibraries } from './libraries.js';

type Call = (...values: unknown[]) => number;
type PointerCall = (...values: unknown[]) => unknown;

/** The functions of the C library for a socket. */
export interface SocketCalls {
  readonly errno: () => number;
  readonly socket: Call;
  readonly connect: Call;
  readonly poll: Call;
  readonly send: (...values: unknown[]) => number | bigint;
  readonly recv: (...values: unknown[]) => number | bigint;
  readonly close: Call;
}

/** The C functions in use, under their own names. Pointers are opaque. */
export interface XenCalls extends SocketCalls {
  readonly view: (pointer: unknown, length: number) => Uint8Array;
  /** By whichever function this version of Xen has for it. */
  readonly domainFlags: (xch: unknown, domid: number) => DomainFlags;
  readonly xc_interface_open: PointerCall;
  readonly xc_interface_close: Call;
  readonly xc_domain_maximum_gpfn: Call;
  readonly xc_get_pfn_type_batch: Call;
  readonly xc_shadow_control: Call;
  readonly xc_logdirty_control: (...values: unknown[]) => number | bigint;
  readonly xc__hypercall_buffer_alloc_pages: PointerCall;
  readonly xc__hypercall_buffer_free_pages: Call;
  readonly xc_domain_hvm_getcontext: Call;
  readonly xc_hvm_param_get: Call;
  readonly xc_domain_get_tsc_info: Call;
  readonly xc_domain_resume: Call;
  readonly xc_cpu_policy_init: PointerCall;
  readonly xc_cpu_policy_destroy: Call;
  readonly xc_cpu_policy_get_domain: Call;
  readonly xc_cpu_policy_get_size: Call;
  readonly xc_cpu_policy_serialise: Call;
  readonly xenforeignmemory_open: PointerCall;
  readonly xenforeignmemory_close: Call;
  readonly xenforeignmemory_map: PointerCall;
  readonly xenforeignmemory_unmap: Call;
  readonly xendevicemodel_open: PointerCall;
  readonly xendevicemodel_close: Call;
  readonly xendevicemodel_modified_memory: Call;
  readonly xs_open: PointerCall;
  readonly xs_close: Call;
  readonly xs_read: PointerCall;
  readonly xs_write: Call;
  readonly xs_resume_domain: Call;
  readonly free: Call;
}

const CONTROL = [
  'void *xc_interface_open(void *logger, void *builder, unsigned int flags)',
  'int xc_interface_close(void *xch)',
  'int xc_domain_maximum_gpfn(void *xch, uint32_t domid, void *gpfn)',
  'int xc_get_pfn_type_batch(void *xch, uint32_t domid, unsigned int count, void *pfns)',
  'int xc_shadow_control(void *xch, uint32_t domid, unsigned int op, void *mb, unsigned int mode)',
  'long long xc_logdirty_control(void *xch, uint32_t domid, unsigned int op, void *bitmap, unsigned long pages, unsigned int mode, void *stats)',
  'void *xc__hypercall_buffer_alloc_pages(void *xch, void *buffer, int pages)',
  'void xc__hypercall_buffer_free_pages(void *xch, void *buffer, int pages)',
  'int xc_domain_hvm_getcontext(void *xch, uint32_t domid, void *context, uint32_t size)',
  'int xc_hvm_param_get(void *xch, uint32_t domid, uint32_t parameter, void *value)',
  'int xc_domain_get_tsc_info(void *xch, uint32_t domid, void *mode, void *nsec, void *khz, void *incarnation)',
];
const GUEST = [
  'int xc_domain_resume(void *xch, uint32_t domid, int fast)',
  'void *xc_cpu_policy_init()',
  'void xc_cpu_policy_destroy(void *policy)',
  'int xc_cpu_policy_get_domain(void *xch, uint32_t domid, void *policy)',
  'int xc_cpu_policy_get_size(void *xch, void *leaves, void *msrs)',
  'int xc_cpu_policy_serialise(void *xch, void *policy, void *leaves, void *leaf_count, void *msrs, void *msr_count)',
];
const FOREIGN_MEMORY = [
  'void *xenforeignmemory_open(void *logger, unsigned int flags)',
  'int xenforeignmemory_close(void *handle)',
  'void *xenforeignmemory_map(void *handle, uint32_t domid, int protection, size_t pages, void *pfns, void *errors)',
  'int xenforeignmemory_unmap(void *handle, void *address, size_t pages)',
];
const DEVICE_MODEL = [
  'void *xendevicemodel_open(void *logger, unsigned int flags)',
  'int xendevicemodel_close(void *handle)',
  'int xendevicemodel_modified_memory(void *handle, uint16_t domid, uint64_t first, uint32_t pages)',
];
const STORE = [
  'void *xs_open(unsigned long flags)',
  'void xs_close(void *handle)',
  'void *xs_read(void *handle, uint32_t transaction, const char *path, void *length)',
  'bool xs_write(void *handle, uint32_t transaction, const char *path, const char *data, unsigned int length)',
  'bool xs_resume_domain(void *handle, unsigned int domid)',
];

const LIBC = [
  'void free(void *pointer)',
  'int socket(int domain, int type, int protocol)',
  'int connect(int descriptor, void *address, unsigned int length)',
  'int poll(void *descriptors, unsigned long count, int milliseconds)',
  'long send(int descriptor, void *bytes, size_t length, int flags)',
  'long recv(int descriptor, void *bytes, size_t length, int flags)',
  'int close(int descriptor)',
];

/** Loads Xen's libraries. Throws whatever the loader says. */
export async function bindXen(libraries: XenLibraries): Promise<XenCalls> {
  const { default: koffi } = await import('koffi');
  const calls: Record<string, unknown> = {
    // A view is of memory that C frees: it must not be used after its unmapping.
    view: (pointer: unknown, length: number) => new Uint8Array(koffi.view(pointer, length)),
  };
  const bind = (path: string, prototypes: readonly string[]) => {
    const library = koffi.load(path);
    for (const prototype of prototypes) {
      calls[nameIn(prototype)] = library.func(prototype) as unknown;
    }
    return library;
  };
  const control = bind(libraries.control, CONTROL);
  calls['domainFlags'] = bindState(libraries.state, (prototype) => control.func(prototype));
  bind(libraries.guest, GUEST);
  bind(libraries.foreignMemory, FOREIGN_MEMORY);
  bind(libraries.deviceModel, DEVICE_MODEL);
  bind(libraries.store, STORE);
  return { ...calls, ...(await bindSockets()) } as unknown as XenCalls;
}

/** The functions of the C library alone: they need no Xen. */
export async function bindSockets(): Promise<SocketCalls> {
  const { default: koffi } = await import('koffi');
  const library = koffi.load('libc.so.6');
  const calls = LIBC.map((prototype) => [nameIn(prototype), library.func(prototype) as unknown] as const);
  return { ...Object.fromEntries(calls), errno: () => koffi.errno() } as unknown as SocketCalls;
}

function nameIn(prototype: string): string {
  return /(\w+)\(/.exec(prototype)![1]!;
}
