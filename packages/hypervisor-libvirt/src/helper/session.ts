import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError, isFitdocError, type Json } from '@fitdoc/interface';
import { LibvirtConnection } from '../connection/connection.js';
import type { Domain, QmpCommand, QmpReply } from '../connection/domain.js';
import type { DomainRecord } from './commands.js';
import { gone, notQemu, notStarted, STOPPED } from './endings.js';

/** How long libvirtd may be away before a domain is given up, and between two tries to reach it. */
const AWAY_MS = 120_000;
const BETWEEN_MS = 250;

/** What is told of a domain. */
export interface SessionListener {
  /** As QEMU writes it. */
  event(event: object): void;
  /** The domain has ended, or cannot be reached any more. */
  end(reason: FitdocError): void;
}

/** A running domain, through whichever connection to libvirt there is: one that libvirtd ended is made again. */
export class DomainSession {
  private domain: Domain;
  private reaching: Promise<void> | undefined;
  private runs = true;

  private constructor(
    domain: Domain,
    /** Which start of the domain it is. */
    private readonly id: number,
    private readonly listener: SessionListener,
  ) {
    this.domain = domain;
  }

  /** Errors: MACHINE_NOT_FOUND, MACHINE_NOT_RUNNING, LOCATION_INVALID (not QEMU's), CAPABILITY_MISSING. */
  static async open(uri: string, name: string, listener: SessionListener): Promise<DomainSession> {
    const connection = await LibvirtConnection.open(uri);
    if (connection.type !== 'QEMU') throw notQemu(name, connection.type);
    const domain = await connection.domain(name);
    const { id } = domain;
    if (id === undefined) throw notStarted(domain.name, (await domain.state()).state);
    const type = /<domain[^>]* type=['"](\w+)['"]/.exec(await domain.xml({ migratable: false }))?.[1] ?? '';
    if (type === 'xen') throw notQemu(name, type);
    const session = new DomainSession(domain, id, listener);
    await session.follow();
    return session;
  }

  /** QEMU's reply, be it an error; libvirt's refusals are given as one. */
  async execute(command: QmpCommand, descriptors: readonly number[]): Promise<QmpReply> {
    for (;;) {
      await this.reaching;
      const { domain } = this;
      try {
        return await domain.qmp(command, descriptors);
      } catch (error) {
        if (isFitdocError(error) && /not running|not active/.test(error.message)) {
          this.listener.end(gone(domain.name, -1));
          return refused(error.message);
        }
        if (!domain.connection.closed.aborted) return refused(text(error));
        await this.reach();
        // Whether QEMU got it is not known; what only asks can be asked again.
        if (!command.execute.startsWith('query-')) return refused(text(error));
      }
    }
  }

  /** libvirt counts the starts of its domains, while it runs itself. */
  get life(): string {
    return `${this.domain.uuid} ${this.id}`;
  }

  /** By libvirt's word; false while libvirtd is away. */
  async isKnownToRun(): Promise<boolean> {
    return this.reaching === undefined && (await this.domain.state()).state === 'running';
  }

  async record(): Promise<DomainRecord> {
    await this.reaching;
    const { domain } = this;
    const { connection, name, uuid } = domain;
    return {
      version: 1,
      uri: connection.uri,
      name,
      uuid,
      versions: await connection.versions(),
      xml: await domain.xml({ migratable: false }),
      migratableXml: await domain.xml({ migratable: true }),
    };
  }

  /** Takes the events of a connection, and the end of it. */
  private async follow(): Promise<void> {
    const { domain } = this;
    await domain.onQmpEvent((name, seconds, microseconds, data) => {
      if (name === 'STOP' || name === 'RESUME') this.runs = name === 'RESUME';
      this.tell(name, { seconds, microseconds }, data);
    });
    await domain.onLife((event, detail) => {
      if (event === STOPPED) this.listener.end(gone(domain.name, detail));
    });
    domain.connection.closed.addEventListener('abort', () => void this.reach(), { once: true });
  }

  private async reach(): Promise<void> {
    this.reaching ??= this.again().finally(() => (this.reaching = undefined));
    return this.reaching;
  }

  /** libvirtd has ended the connection, and the guest goes on: waits for another libvirtd. */
  private async again(): Promise<void> {
    const { uuid, name, connection } = this.domain;
    const deadline = performance.now() + AWAY_MS;
    for (;;) {
      try {
        const domain = await (await LibvirtConnection.open(connection.uri)).domain(uuid);
        if (domain.id !== this.id) return this.listener.end(gone(name, -1));
        this.domain = domain;
        await this.follow();
        return await this.catchUp();
      } catch (error) {
        if (performance.now() > deadline) return this.listener.end(lost(name, error));
        await sleep(BETWEEN_MS);
      }
    }
  }

  /** Tells what happened meanwhile as far as it can still be seen, by our clock. */
  private async catchUp(): Promise<void> {
    const { return: state } = await this.domain.qmp({ execute: 'query-status' });
    const running = (state as { running?: boolean } | undefined)?.running === true;
    if (running === this.runs) return;
    this.runs = running;
    const now = Date.now();
    const timestamp = { seconds: Math.floor(now / 1000), microseconds: (now % 1000) * 1000 };
    this.tell(running ? 'RESUME' : 'STOP', timestamp, null);
  }

  private tell(event: string, timestamp: object, data: string | null): void {
    this.listener.event({ event, timestamp, ...(data === null ? {} : { data: JSON.parse(data) as Json }) });
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function refused(desc: string): QmpReply {
  return { error: { class: 'GenericError', desc } };
}

function lost(name: string, cause: unknown): FitdocError {
  return new FitdocError('MACHINE_GONE', `libvirt was away for too long to follow the domain ${name}.`, {
    cause,
    hint: 'Start libvirtd, then attach anew; the guest goes on without it.',
    retryable: true,
  });
}
