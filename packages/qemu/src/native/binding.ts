import { FitdocError } from '@fitdoc/interface';

/** The C functions in use, under their own names; a negative result is a failure, with `errno` its reason. */
export interface SocketCalls {
  errno(): number;
  /** The name of an error's number: `EPERM`. */
  nameOf(errno: number): string;
  socketpair(domain: number, type: number, protocol: number, ends: [number, number]): number;
  setsockopt(socket: number, level: number, name: number, value: ArrayBufferView, bytes: number): number;
  getsockopt(
    socket: number,
    level: number,
    name: number,
    value: ArrayBufferView,
    bytes: ArrayBufferView,
  ): number;
  sendmsg(socket: number, message: MessageHeader, flags: number): number | bigint;
  shutdown(socket: number, how: number): number;
  close(descriptor: number): number;
  fcntl(descriptor: number, command: number, argument: number): number;
  ioctl(descriptor: number, request: number, value: [number]): number;
  poll(descriptors: Uint8Array, count: number, milliseconds: number): number;
  syscall(number: number, first: number, second: number, third: number): number | bigint;
}

/** `struct msghdr` of 64-bit Linux. */
export interface MessageHeader {
  readonly name: null;
  readonly nameLength: 0;
  readonly parts: readonly { readonly base: Uint8Array; readonly length: number }[];
  readonly partCount: number;
  readonly control: Uint8Array;
  readonly controlLength: number;
  readonly flags: 0;
}

const PROTOTYPES = [
  'int socketpair(int domain, int type, int protocol, _Out_ int *ends)',
  'int setsockopt(int socket, int level, int name, const void *value, uint32_t bytes)',
  'int getsockopt(int socket, int level, int name, void *value, void *bytes)',
  'int shutdown(int socket, int how)',
  'int close(int descriptor)',
  'int fcntl(int descriptor, int command, int argument)',
  'int ioctl(int descriptor, unsigned long request, _Inout_ int *value)',
  'int poll(void *descriptors, unsigned long count, int milliseconds)',
  'long syscall(long number, long first, long second, long third)',
];

let bound: Promise<SocketCalls> | undefined;

/**
 * The C library's socket calls that Node has not. Errors: CAPABILITY_MISSING where koffi or the C library
 * cannot be loaded.
 */
export async function bindSockets(): Promise<SocketCalls> {
  return (bound ??= bind().catch((cause: unknown) => {
    bound = undefined;
    throw new FitdocError('CAPABILITY_MISSING', "The C library's socket calls cannot be loaded.", {
      cause,
      hint: 'Install koffi with its binary for this platform (npm install without --omit=optional), on 64-bit Linux.',
    });
  }));
}

async function bind(): Promise<SocketCalls> {
  if (process.platform !== 'linux' || !/64$/.test(process.arch))
    throw new Error(`${process.platform} on ${process.arch}`);
  const { default: koffi } = await import('koffi');
  const part = koffi.struct({ base: 'void *', length: 'size_t' });
  const message = koffi.struct({
    name: 'void *',
    nameLength: 'uint32_t',
    parts: koffi.pointer(part),
    partCount: 'size_t',
    control: 'void *',
    controlLength: 'size_t',
    flags: 'int',
  });
  const library = koffi.load(null);
  const names = new Map(Object.entries(koffi.os.errno).map(([name, value]) => [value, name]));
  const calls: Record<string, unknown> = {
    errno: () => koffi.errno(),
    nameOf: (errno: number) => names.get(errno) ?? `error ${errno}`,
    sendmsg: library.func('sendmsg', 'long', ['int', koffi.pointer(message), 'int']),
  };
  for (const prototype of PROTOTYPES)
    calls[/(\w+)\(/.exec(prototype)![1]!] = library.func(prototype) as unknown;
  return calls as unknown as SocketCalls;
}
