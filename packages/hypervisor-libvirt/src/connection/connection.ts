import { abortError, FitdocError, isFitdocError } from '@fitdoc/interface';
import { bindLibvirt, LIST_ACTIVE, LIST_INACTIVE, type Handle, type Libvirt } from './binding.js';
import type { ConnectionCalls } from './calls.js';
import { Domain } from './domain.js';
import { cannotConnect, isNoDomain, refusedBy } from './faults.js';
import { runEventLoop } from './loop.js';
import { nearest } from './near.js';

const UUID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/**
 * What a QEMU says (11.1 does) to whom lets it read a migration from a plain file's descriptor, as libvirt 9.0 does. A
 * file that libvirt reads past the page cache comes through a pipe of a helper of its own.
 */
const NO_PLAIN_FILE = /migration to a file is not supported/;

/** Seconds between two signs of life, and how many may be missing before a connection counts as ended. */
const KEEPALIVE_S = 5;
const KEEPALIVES = 6;

/** Of libvirt and of the QEMU that it starts, as `9.0.0`. */
interface Versions {
  readonly libvirt: string;
  readonly hypervisor: string;
}

/**
 * A connection to libvirt, through its C library in this process. Calls are made one after the other, in another thread:
 * libvirt's own order, and its last error, are those of the call.
 */
export class LibvirtConnection implements ConnectionCalls {
  /** Aborted with a FitdocError (MACHINE_GONE) when libvirt has ended the connection. */
  readonly closed: AbortSignal;
  private readonly ending = new AbortController();
  private known: Versions | undefined;
  private queue: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly libvirt: Libvirt,
    readonly handle: Handle,
    /** As it was asked for. */
    readonly uri: string,
  ) {
    this.closed = this.ending.signal;
  }

  /** Errors: CAPABILITY_MISSING (no libraries), MACHINE_NOT_FOUND (refused; retryable when libvirtd may yet come). */
  static async open(uri: string): Promise<LibvirtConnection> {
    const libvirt = await bindLibvirt();
    await runEventLoop(libvirt);
    libvirt.takeFault();
    const handle = await libvirt.call<Handle | null>('virConnectOpen', uri);
    if (handle === null) throw cannotConnect(uri, libvirt.takeFault());
    const connection = new LibvirtConnection(libvirt, handle, uri);
    await connection.watch();
    return connection;
  }

  /**
   * Calls a function of libvirt's; -1 and null are a failure. Errors: PROTOCOL_ERROR with libvirt's words, MACHINE_GONE
   * when the connection has ended.
   */
  async call<Result>(what: string, name: string, ...args: unknown[]): Promise<Result> {
    const run = async (): Promise<Result> => {
      if (this.closed.aborted) throw abortError(this.closed);
      this.libvirt.takeFault();
      const result = await this.libvirt.call<Result>(name, ...args);
      if (result !== -1 && result !== null) return result;
      if (this.closed.aborted) throw abortError(this.closed);
      throw refusedBy(what, this.libvirt.takeFault());
    };
    const call = this.queue.then(run);
    this.queue = call.catch(() => undefined);
    return call;
  }

  /** `QEMU`, `Xen`, `LXC`: what kind of hypervisor libvirt speaks for here. */
  get type(): string {
    return this.libvirt.now<string>('virConnectGetType', this.handle);
  }

  /** All domains, those that do not run as well. */
  async domains(): Promise<Domain[]> {
    const out: [unknown] = [null];
    const flags = LIST_ACTIVE | LIST_INACTIVE;
    const count = await this.call<number>(
      'a list of domains',
      'virConnectListAllDomains',
      this.handle,
      out,
      flags,
    );
    return this.libvirt.handles(out[0], count).map((handle) => new Domain(this, handle));
  }

  /** A domain by name, else by UUID. MACHINE_NOT_FOUND with the names that are near. */
  async domain(nameOrUuid: string): Promise<Domain> {
    const lookups = [
      'virDomainLookupByName',
      ...(UUID.test(nameOrUuid) ? ['virDomainLookupByUUIDString'] : []),
    ];
    for (const lookup of lookups) {
      const found = await this.call<Handle>(`domain ${nameOrUuid}`, lookup, this.handle, nameOrUuid).catch(
        (error: unknown) => {
          const code = isFitdocError(error, 'PROTOCOL_ERROR') ? Number(error.details['libvirt']) : 0;
          if (isNoDomain({ code, domain: 0, message: '' })) return undefined;
          throw error;
        },
      );
      if (found !== undefined) return new Domain(this, found);
    }
    throw unknown(
      this.uri,
      nameOrUuid,
      nearest(
        nameOrUuid,
        (await this.domains()).map(({ name }) => name),
      ),
    );
  }

  /** Versions as `9.0.0`: of libvirt, and of the QEMU that it would start. */
  async versions(): Promise<Versions> {
    // They are a connection's for its life, and every checkpoint has them.
    return (this.known ??= await this.readVersions());
  }

  private async readVersions(): Promise<Versions> {
    const read = async (name: string): Promise<string> => {
      const out: [number | bigint] = [0];
      await this.call('its version', name, this.handle, out);
      const number = Number(out[0]);
      return `${Math.floor(number / 1e6)}.${Math.floor(number / 1e3) % 1000}.${number % 1000}`;
    };
    return { libvirt: await read('virConnectGetLibVersion'), hypervisor: await read('virConnectGetVersion') };
  }

  /**
   * Starts a domain from a save image at a path of libvirtd's host. `xml` takes the place of the image's; `paused`:
   * whether it stays so.
   */
  async restore(path: string, { xml, paused }: { xml?: string; paused: boolean }): Promise<void> {
    const [BYPASS_CACHE, RUNNING, PAUSED] = [1, 2, 4];
    const flags = paused ? PAUSED : RUNNING;
    const asked = (more: number) =>
      this.call('the restore', 'virDomainRestoreFlags', this.handle, path, xml ?? null, flags | more);
    await asked(0).catch((error: unknown) => {
      if (!(error instanceof Error) || !NO_PLAIN_FILE.test(error.message)) throw error;
      return asked(BYPASS_CACHE);
    });
  }

  async close(): Promise<void> {
    if (this.closed.aborted) return;
    this.end(new FitdocError('ABORTED', 'The connection to libvirt was closed.'));
    await this.queue;
    await this.libvirt.call('virConnectClose', this.handle);
  }

  /** Takes signs of life and the end of the connection; neither is there for every kind of connection. */
  private async watch(): Promise<void> {
    const { libvirt, handle } = this;
    await libvirt.call('virConnectSetKeepAlive', handle, KEEPALIVE_S, KEEPALIVES);
    const onClose = libvirt.callback('close', () => this.end(ended(this.uri)));
    await libvirt.call('virConnectRegisterCloseCallback', handle, onClose, null, null);
    libvirt.takeFault();
  }

  private end(reason: FitdocError): void {
    this.ending.abort(reason);
  }
}

function ended(uri: string): FitdocError {
  return new FitdocError('MACHINE_GONE', `libvirt at ${uri} has ended the connection.`, {
    hint: 'See whether libvirtd runs; guests go on without it.',
    retryable: true,
  });
}

function unknown(uri: string, asked: string, near: readonly string[]): FitdocError {
  return new FitdocError('MACHINE_NOT_FOUND', `libvirt at ${uri} has no domain "${asked}".`, {
    hint:
      near.length > 0
        ? `There are: ${near.join(', ')}.`
        : 'It has none at all, or none that this user may see.',
    details: { near },
  });
}
