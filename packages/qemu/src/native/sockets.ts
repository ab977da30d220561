import { FitdocError } from '@fitdoc/interface';
import type { SocketCalls } from './binding.js';

// Constants of Linux on the architectures whose Node is 64-bit and which QEMU runs KVM on.
const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVTIMEO = 20;
const SO_SNDBUFFORCE = 32;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
const SHUT_RDWR = 2;
const F_DUPFD_CLOEXEC = 1030;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const FIONREAD = 0x541b;
const POLLRDHUP = 0x2000;

/** How long a read of an end of ours may block before it gives EAGAIN, milliseconds. */
export const READ_PATIENCE_MS = 100;

export interface SocketPair {
  /** Our end; reads of it block for at most READ_PATIENCE_MS. */
  readonly ours: number;
  /** The end to give away, and then to close. */
  readonly theirs: number;
  /** Bytes that can be written into their end while nobody reads ours. */
  readonly bufferBytes: number;
}

/**
 * Makes a pair of connected sockets. Their end takes up to `bufferBytes` that nobody has read yet, or as much
 * as the kernel grants (net.core.wmem_max, without CAP_NET_ADMIN). Errors: CAPTURE_FAILED (no descriptors left).
 */
export function socketPair(calls: SocketCalls, bufferBytes: number): SocketPair {
  const ends: [number, number] = [-1, -1];
  if (calls.socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC, 0, ends) < 0) throw refused(calls, 'a pair of sockets');
  const [ours, theirs] = ends;
  makePatient(calls, ours);
  const wanted = Int32Array.of(bufferBytes);
  if (calls.setsockopt(theirs, SOL_SOCKET, SO_SNDBUFFORCE, wanted, 4) < 0)
    calls.setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, wanted, 4);
  const granted = new Int32Array(1);
  calls.getsockopt(theirs, SOL_SOCKET, SO_SNDBUF, granted, Uint32Array.of(4));
  // The kernel doubles what is asked for, to have room for its bookkeeping.
  return { ours, theirs, bufferBytes: Math.max(0, granted[0]!) / 2 };
}

/** Another descriptor of a socket, which no program that is started inherits; negative where there is none left. */
export function copyOf(calls: SocketCalls, socket: number): number {
  return calls.fcntl(socket, F_DUPFD_CLOEXEC, 0);
}

/** Another descriptor of a socket, whose reads block, but not for ever. */
export function patientCopy(calls: SocketCalls, socket: number): number {
  const copy = copyOf(calls, socket);
  if (copy < 0) throw refused(calls, 'another descriptor of a socket');
  calls.fcntl(copy, F_SETFL, calls.fcntl(copy, F_GETFL, 0) & ~O_NONBLOCK);
  makePatient(calls, copy);
  return copy;
}

/** Ends reads and writes of a socket, also those that another thread is in. */
export function shutDown(calls: SocketCalls, socket: number): void {
  calls.shutdown(socket, SHUT_RDWR);
}

/** Bytes that wait to be read. */
export function waiting(calls: SocketCalls, socket: number): number {
  const bytes: [number] = [0];
  return calls.ioctl(socket, FIONREAD, bytes) < 0 ? 0 : bytes[0];
}

/** Whether nothing more will come: the other end is closed or shut down. What came before may still wait to be read. */
export function hasEnded(calls: SocketCalls, socket: number): boolean {
  // struct pollfd: the descriptor, the events asked for, those that are there.
  const entry = new Uint8Array(8);
  new Int32Array(entry.buffer)[0] = socket;
  new Int16Array(entry.buffer)[2] = POLLRDHUP;
  return calls.poll(entry, 1, 0) > 0;
}

/**
 * Sends bytes over a unix socket with a descriptor beside them, without waiting. Gives how many bytes went;
 * the descriptor is with the first. 0: the socket has no room now. Errors: PROTOCOL_ERROR.
 */
export function sendWithDescriptor(
  calls: SocketCalls,
  socket: number,
  bytes: Uint8Array,
  descriptor: number,
): number {
  const control = new Uint8Array(24);
  // struct cmsghdr: its length as size_t, level, type; then the descriptor.
  new BigUint64Array(control.buffer, 0, 1)[0] = 20n;
  new Int32Array(control.buffer, 8, 3).set([SOL_SOCKET, SCM_RIGHTS, descriptor]);
  const message = {
    ...({ name: null, nameLength: 0, flags: 0 } as const),
    parts: [{ base: bytes, length: bytes.length }],
    partCount: 1,
    control,
    controlLength: control.length,
  };
  const sent = Number(calls.sendmsg(socket, message, MSG_DONTWAIT_NOSIGNAL));
  if (sent >= 0) return sent;
  const name = calls.nameOf(calls.errno());
  if (name === 'EAGAIN' || name === 'EINTR' || name === 'ENOBUFS') return 0;
  throw new FitdocError('PROTOCOL_ERROR', `A descriptor could not be handed to QEMU (${name}).`, {
    hint: 'Descriptors go over unix sockets only; without one QEMU connects to a socket of ours.',
    details: { errno: name },
  });
}

function makePatient(calls: SocketCalls, socket: number): void {
  const time = BigInt64Array.of(0n, BigInt(READ_PATIENCE_MS * 1000));
  if (calls.setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, time, 16) < 0)
    throw refused(calls, 'a limit for reads of a socket');
}

function refused(calls: SocketCalls, what: string): FitdocError {
  const name = calls.nameOf(calls.errno());
  return new FitdocError('CAPTURE_FAILED', `The system refused ${what} (${name}).`, {
    hint: 'Raise the limit of open files (ulimit -n) when it is EMFILE.',
    retryable: true,
    details: { errno: name },
  });
}
