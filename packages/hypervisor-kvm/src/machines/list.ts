import { readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  FitdocError,
  withLinkedSignal,
  isFitdocError,
  throwIfAborted,
  type FindMachinesOptions,
  type FoundMachine,
  type MachineRefusal,
} from '@fitdoc/interface';
import { connectSocket, findGuest, type FoundGuest } from '@fitdoc/qemu';
import { readCommandLine, type QemuCommandLine } from './command-line.js';
import { belongsToLibvirt, libvirtDomainOf } from './libvirt.js';
import { qemuProcesses, type QemuProcess } from './processes.js';
import { listeningPaths, useOfSocket } from './unix-sockets.js';

/** The QEMUs of this host, but for device models of Xen's. Asked are those whose QMP socket nobody holds. */
export async function findMachines({ signal, wanted = () => true }: FindMachinesOptions = {}): Promise<
  readonly FoundMachine[]
> {
  const processes = await qemuProcesses();
  const found = await Promise.all(
    processes.map(async (each) => {
      throwIfAborted(signal);
      const line = readCommandLine(each.args);
      const known = knownOf(each, line);
      return line.xenDomain === undefined && wanted(known) ? look(each, line, known, signal) : undefined;
    }),
  );
  return found.flatMap((each) => each ?? []);
}

function knownOf({ pid }: QemuProcess, { uuid, name, memoryBytes }: QemuCommandLine): FoundMachine {
  return {
    ...(uuid !== undefined && { id: uuid }),
    name: name ?? `qemu-${pid}`,
    ...(memoryBytes !== undefined && { memoryBytes }),
    ways: [],
    needs: [],
  };
}

async function look(
  qemu: QemuProcess,
  line: QemuCommandLine,
  known: FoundMachine,
  signal: AbortSignal | undefined,
): Promise<FoundMachine> {
  const domain = await domainOfLibvirt(qemu, line);
  const sockets = await Promise.all(
    line.sockets.flatMap(({ path }) => (path === undefined ? [] : [socketAt(qemu, path)])),
  );
  const others = sockets.filter(({ path }) => libvirtDomainOf(path) === undefined);
  const free = others.find(({ use }) => use === 'free');
  if (free === undefined) {
    const refused = unreachable(domain, others);
    const elsewhere = domain === undefined ? {} : { elsewhere: `libvirt:${domain}` };
    const location = domain === undefined && others[0] !== undefined ? { location: others[0].path } : {};
    return { ...known, ...elsewhere, ...location, refused: refusalOf(refused) };
  }
  const reached = {
    ...known,
    location: free.path,
    ...(line.name === undefined && { name: nameOf(free.path) }),
  };
  try {
    const { name = reached.name, ...guest } = await ask(free.path, signal);
    return { ...reached, ...guest, name };
  } catch (error) {
    throwIfAborted(signal);
    if (!isFitdocError(error)) throw error;
    return { ...reached, refused: refusalOf(error) };
  }
}

/** A QEMU that is well answers in milliseconds, on a busy host in a second; we do not keep its socket from others for long. */
const GREETING_MS = 2000;
const ASK_MS = 5000;

/** Asks by a socket that nobody holds, and lets go of it. PROTOCOL_ERROR where the answers take too long. */
async function ask(path: string, signal: AbortSignal | undefined): Promise<FoundGuest> {
  const late = new FitdocError('PROTOCOL_ERROR', `QEMU did not answer within ${ASK_MS} ms.`, {
    hint: 'The host may be overloaded or QEMU stuck; look at its log.',
    retryable: true,
  });
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(late), ASK_MS);
  try {
    return await withLinkedSignal([limit.signal, signal], async (either) => {
      const connected = await connectSocket(path, { signal: either, greetingMs: GREETING_MS });
      return findGuest(connected, either).finally(() => connected.client.close());
    });
  } finally {
    clearTimeout(timer);
  }
}

/** As an attachment calls what has no name. */
function nameOf(path: string): string {
  return basename(path).replace(/\.[^.]*$/, '');
}

/** libvirt hands its QEMUs a listening descriptor, whose path only the kernel knows. */
async function domainOfLibvirt(qemu: QemuProcess, line: QemuCommandLine): Promise<string | undefined> {
  const own = line.sockets.find(({ chardev }) => chardev === 'charmonitor');
  if (own === undefined) return undefined;
  const paths = own.path === undefined ? await listeningPaths(qemu.pid) : [own.path];
  // Without the right to look, its name for its own monitor is enough.
  return line.name ?? paths.map(libvirtDomainOf).find((name) => name !== undefined);
}

async function socketAt(
  { pid }: QemuProcess,
  path: string,
): Promise<{ path: string; use: 'free' | 'taken' | 'unknown' }> {
  const use = await useOfSocket(pid, path);
  if (path.startsWith('/')) return { path, use };
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  return folder === undefined ? { path, use: 'unknown' } : { path: join(folder, path), use };
}

function unreachable(
  domain: string | undefined,
  sockets: readonly { path: string; use: string }[],
): FitdocError {
  if (domain !== undefined) return belongsToLibvirt(domain);
  if (sockets.length === 0)
    return new FitdocError('MACHINE_NOT_FOUND', 'This QEMU has no QMP socket.', {
      hint: 'Start it with "-qmp unix:PATH,server=on,wait=off".',
    });
  if (sockets.some(({ use }) => use === 'taken'))
    return new FitdocError(
      'MACHINE_BUSY',
      'Another client has its QMP socket: its manager, or fitdoc itself.',
      {
        hint: 'End the other client, or give QEMU a second -qmp socket for fitdoc.',
        retryable: true,
      },
    );
  return new FitdocError(
    'MACHINE_NOT_FOUND',
    `Whether its QMP socket ${sockets[0]!.path} is free cannot be seen.`,
    {
      hint: "Ask as root, or as QEMU's user, and where its sockets are (not from outside of a container).",
    },
  );
}

function refusalOf({ code, message, hint }: FitdocError): MachineRefusal {
  return { code, message, ...(hint !== undefined && { hint }) };
}
