import type { Json } from '@fitdoc/interface';
import { XML_MIGRATABLE, XML_SECURE, type Handle } from './binding.js';
import type { ConnectionCalls } from './calls.js';
import { STATES, type DomainState } from './states.js';

/** `virDomainGetUUIDString` writes 36 letters and a NUL. */
const UUID_BYTES = 37;
/** `virDomainGetID` of a domain that does not run. */
const NO_ID = 0xffff_ffff;

/** A domain of libvirt's, running or not. */
export class Domain {
  readonly name: string;
  readonly uuid: string;

  constructor(
    readonly connection: ConnectionCalls,
    readonly handle: Handle,
  ) {
    const { libvirt } = connection;
    this.name = libvirt.now<string>('virDomainGetName', handle);
    const text = Buffer.alloc(UUID_BYTES);
    libvirt.now('virDomainGetUUIDString', handle, text);
    this.uuid = text.toString('latin1', 0, UUID_BYTES - 1);
  }

  /** Another one each time it is started; undefined while it does not run. As it was when this object was made. */
  get id(): number | undefined {
    const id = this.connection.libvirt.now<number>('virDomainGetID', this.handle);
    return id === NO_ID ? undefined : id;
  }

  /** Its state now, and libvirt's number for the reason. */
  async state(): Promise<{ readonly state: DomainState; readonly reason: number }> {
    const [state, reason]: [[number], [number]] = [[0], [0]];
    await this.connection.call('its state', 'virDomainGetState', this.handle, state, reason, 0);
    return { state: STATES[state[0]] ?? 'no state', reason: reason[0] };
  }

  /**
   * Its XML, passwords included: as it lives, or, `migratable`, as it can be brought to life again elsewhere. Treat it
   * like the guest's memory.
   */
  async xml({ migratable }: { readonly migratable: boolean }): Promise<string> {
    const flags = XML_SECURE | (migratable ? XML_MIGRATABLE : 0);
    return this.connection.call<string>('its XML', 'virDomainGetXMLDesc', this.handle, flags);
  }

  /** Whether libvirt keeps its definition when it does not run. */
  async isPersistent(): Promise<boolean> {
    return (
      (await this.connection.call<number>('its persistence', 'virDomainIsPersistent', this.handle)) === 1
    );
  }

  /** Lets it run. */
  async resume(): Promise<void> {
    await this.connection.call('to resume it', 'virDomainResume', this.handle);
  }

  /**
   * Has QEMU execute a QMP command, with descriptors beside it, which stay open here. Gives QEMU's reply, be it an
   * error of its own; libvirt's are thrown.
   */
  async qmp(command: QmpCommand, descriptors: readonly number[] = []): Promise<QmpReply> {
    const result: [string] = [''];
    // QEMU reads it a byte at a time: what it can do without is left out.
    const { arguments: args = {}, ...bare } = command;
    const text = JSON.stringify(Object.keys(args).length > 0 ? command : bare);
    const what = `QMP ${command.execute}`;
    if (descriptors.length === 0)
      await this.connection.call(what, 'virDomainQemuMonitorCommand', this.handle, text, result, 0);
    else
      await this.connection.call(
        what,
        'virDomainQemuMonitorCommandWithFiles',
        ...[this.handle, text, descriptors.length, Int32Array.from(descriptors), [0], [null], result, 0],
      );
    return JSON.parse(result[0]) as QmpReply;
  }

  /** Calls back with QEMU's events, by QEMU's clock. */
  async onQmpEvent(
    listener: (name: string, seconds: number, microseconds: number, data: string | null) => void,
  ): Promise<void> {
    const { connection, handle } = this;
    const call = (
      _connection: unknown,
      _domain: unknown,
      name: string,
      seconds: number | bigint,
      microseconds: number,
      data: string | null,
    ): void => listener(name, Number(seconds), microseconds, data);
    const callback = connection.libvirt.callback('qmp', call);
    const name = 'virConnectDomainQemuMonitorEventRegister';
    await connection.call("QEMU's events", name, connection.handle, handle, null, callback, null, null, 0);
  }

  /** Calls back with libvirt's events of its life: `virDomainEventType` and its detail. */
  async onLife(listener: (event: number, detail: number) => void): Promise<void> {
    const { connection, handle } = this;
    const call = (_connection: unknown, _domain: unknown, event: number, detail: number): void =>
      listener(event, detail);
    const callback = connection.libvirt.callback('life', call);
    const name = 'virConnectDomainEventRegisterAny';
    await connection.call('its events', name, connection.handle, handle, 0, callback, null, null);
  }
}

export interface QmpCommand {
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, Json>>;
}

/** One of the two. */
export interface QmpReply {
  readonly return?: Json;
  readonly error?: { readonly class: string; readonly desc: string };
}
