import { FitdocError } from '@fitdoc/interface';
import type { LibraryHandle, TypeObject } from 'koffi';

/** libvirt's own numbers, as far as they are asked for. */
export const XML_SECURE = 1;
export const XML_MIGRATABLE = 8;
/** `virConnectListAllDomains`: what runs, and what does not. */
export const LIST_ACTIVE = 1;
export const LIST_INACTIVE = 2;

/** A pointer of libvirt's; opaque. */
export type Handle = object;

type Callback = (...args: never[]) => unknown;

/** A C function: called at once, or in another thread so that Node goes on meanwhile. */
type Native = ((...args: unknown[]) => unknown) & {
  async(...args: [...unknown[], (error: Error | null, result: unknown) => void]): void;
};

/** libvirt's last error in a thread. */
export interface LibvirtFault {
  /** `virErrorNumber`. */
  readonly code: number;
  /** `virErrorDomain`. */
  readonly domain: number;
  readonly message: string;
}

/** The C functions in use, by their own names, and what callbacks need. */
export interface Libvirt {
  /** Calls a function of libvirt in another thread. */
  call<Result>(name: string, ...args: unknown[]): Promise<Result>;
  /** Calls one that only reads what is known already, at once. */
  now<Result>(name: string, ...args: unknown[]): Result;
  /** Whether this libvirt has a function. */
  has(name: string): boolean;
  /** Makes a function of this thread one that libvirt can call. */
  callback(kind: 'qmp' | 'life' | 'close', call: Callback): unknown;
  /** Pointers in an array of libvirt's, which is freed. */
  handles(array: unknown, count: number): Handle[];
  /** The last error reported in any thread, and forgets it. */
  takeFault(): LibvirtFault | undefined;
}

const CORE = [
  'int virInitialize()',
  'int virEventRegisterDefaultImpl()',
  'int virEventRunDefaultImpl()',
  'void *virConnectOpen(const char *uri)',
  'int virConnectClose(void *connection)',
  'int virConnectSetKeepAlive(void *connection, int interval, uint32_t count)',
  'const char *virConnectGetType(void *connection)',
  'Text virConnectGetURI(void *connection)',
  'Text virConnectGetHostname(void *connection)',
  'Text virConnectGetCapabilities(void *connection)',
  'int virConnectGetVersion(void *connection, _Out_ unsigned long *version)',
  'int virConnectGetLibVersion(void *connection, _Out_ unsigned long *version)',
  'int virConnectListAllDomains(void *connection, _Out_ void **domains, uint32_t flags)',
  'void *virDomainLookupByName(void *connection, const char *name)',
  'void *virDomainLookupByUUIDString(void *connection, const char *uuid)',
  'void *virDomainDefineXML(void *connection, const char *xml)',
  'int virDomainRestoreFlags(void *connection, const char *from, const char *xml, uint32_t flags)',
  'int virDomainResume(void *domain)',
  'Text virConnectGetDomainCapabilities(void *connection, const char *emulator, const char *architecture, const char *machine, const char *type, uint32_t flags)',
  'void *virNetworkLookupByName(void *connection, const char *name)',
  'int virNetworkIsActive(void *network)',
  'void *virSecretLookupByUUIDString(void *connection, const char *uuid)',
  'int virDomainUndefineFlags(void *domain, uint32_t flags)',
  'int virDomainFree(void *domain)',
  'uint32_t virDomainGetID(void *domain)',
  'const char *virDomainGetName(void *domain)',
  'int virDomainGetUUIDString(void *domain, void *text)',
  'int virDomainIsPersistent(void *domain)',
  'Text virDomainGetXMLDesc(void *domain, uint32_t flags)',
  'int virDomainGetState(void *domain, _Out_ int *state, _Out_ int *reason, uint32_t flags)',
  'int virConnectDomainEventRegisterAny(void *connection, void *domain, int id, void *call, void *opaque, void *free)',
  'int virConnectRegisterCloseCallback(void *connection, void *call, void *opaque, void *free)',
];

const QEMU = [
  'int virDomainQemuMonitorCommand(void *domain, const char *command, _Out_ Text *result, uint32_t flags)',
  'int virDomainQemuMonitorCommandWithFiles(void *domain, const char *command, uint32_t inputs, int *input, _Out_ uint32_t *outputs, _Out_ void **output, _Out_ Text *result, uint32_t flags)',
  'int virConnectDomainQemuMonitorEventRegister(void *connection, void *domain, const char *event, void *call, void *opaque, void *free, uint32_t flags)',
];

const CALLBACKS = {
  qmp: 'void fitdocOnQmp(void *connection, void *domain, const char *event, int64_t seconds, uint32_t microseconds, const char *details, void *opaque)',
  life: 'void fitdocOnLife(void *connection, void *domain, int event, int detail, void *opaque)',
  close: 'void fitdocOnClose(void *connection, int reason, void *opaque)',
  error: 'void fitdocOnError(void *opaque, void *error)',
} as const;

let bound: Promise<Libvirt> | undefined;

/** libvirt's C libraries, loaded when they are first asked for. Errors: CAPABILITY_MISSING. */
export async function bindLibvirt(): Promise<Libvirt> {
  return (bound ??= bind().catch((error: unknown) => {
    bound = undefined;
    throw error;
  }));
}

async function bind(): Promise<Libvirt> {
  const { default: koffi } = await import('koffi').catch((cause: unknown) => {
    throw missing('koffi, which calls them, cannot be loaded', 'npm install koffi', cause);
  });
  const load = (file: string): LibraryHandle => {
    try {
      return koffi.load(file);
    } catch (cause) {
      throw missing(`${file} cannot be loaded`, 'apt-get install libvirt0', cause);
    }
  };
  const [core, qemu] = [load('libvirt.so.0'), load('libvirt-qemu.so.0')];
  const free = koffi.load(null).func('void free(void *memory)');
  // What libvirt hands out for its caller to free, named in the prototypes.
  koffi.disposable('Text', 'str', free);
  const fault = koffi.struct('fitdocFault', { code: 'int', domain: 'int', message: 'str' });
  const types = Object.fromEntries(
    Object.entries(CALLBACKS).map(([kind, prototype]) => [kind, koffi.pointer(koffi.proto(prototype))]),
  ) as Record<keyof typeof CALLBACKS, TypeObject>;
  const functions = new Map<string, Native>();
  for (const [library, prototypes] of [[core, CORE] as const, [qemu, QEMU] as const])
    for (const prototype of prototypes) {
      const name = /(\w+)\(/.exec(prototype)![1]!;
      try {
        functions.set(name, library.func(prototype));
      } catch {
        // An older libvirt is without it: whoever needs it asks `has`.
      }
    }
  const native = (name: string): Native => {
    const found = functions.get(name);
    if (found === undefined)
      throw missing(`this libvirt has no ${name}`, 'apt-get install libvirt0 (8.2 or later)');
    return found;
  };
  let last: LibvirtFault | undefined;
  // libvirt keeps its last error a thread, and calls are made in others than this one: it is taken as it is reported.
  const onError = koffi.register((_: unknown, error: unknown) => {
    last = koffi.decode(error, fault) as LibvirtFault;
  }, types.error);
  core.func('void virSetErrorFunc(void *data, void *call)')(null, onError);
  return {
    call: async <Result>(name: string, ...args: unknown[]) =>
      new Promise<Result>((resolve, reject) => {
        const settle = (error: Error | null, result: unknown): void =>
          error === null || error === undefined ? resolve(result as Result) : reject(error);
        native(name).async(...args, settle);
      }),
    now: <Result>(name: string, ...args: unknown[]) => native(name)(...args) as Result,
    has: (name) => functions.has(name),
    callback: (kind, call) => koffi.register(call, types[kind]),
    handles: (array, count) => {
      // koffi knows no array of nothing.
      const found = count === 0 ? [] : (koffi.decode(array, koffi.array('void *', count)) as Handle[]);
      free(array);
      return found;
    },
    takeFault: () => {
      const taken = last;
      last = undefined;
      return taken;
    },
  };
}

function missing(what: string, how: string, cause?: unknown): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', `libvirt's libraries are needed, and ${what}.`, {
    cause,
    hint: `Install them: ${how}`,
  });
}
