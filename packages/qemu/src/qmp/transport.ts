import type { Json } from '@fitdoc/interface';

export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, Json>>;
  /** By QEMU's clock, milliseconds since 1970 with microseconds as the fraction. */
  readonly atMs: number;
}

/** A command on its way to QEMU. */
export interface QmpRequest {
  /** Comes back with the reply; no two commands of a connection have the same. */
  readonly id: number;
  readonly command: string;
  readonly arguments: Readonly<Record<string, Json>>;
  /** Has QEMU answer even while its main loop stands, where the transport is `outOfBand`. */
  readonly outOfBand: boolean;
  /** Handed over with the command; it stays open here. */
  readonly descriptor?: number | undefined;
  /** Whether anybody still waits for the reply: afterwards the descriptor may be another's. */
  readonly wanted: () => boolean;
}

/** What QEMU answered: one of the two. */
export interface QmpReply {
  readonly return?: Json;
  readonly error?: { readonly class: string; readonly desc: string };
}

/** Who is told what comes from QEMU. */
export interface QmpListener {
  reply(id: number, reply: QmpReply): void;
  event(event: QmpEvent): void;
  /** The connection is over, for the reason given; a FitdocError is passed on as it is. */
  end(cause?: unknown): void;
}

/** What carries commands, with descriptors, to one QEMU and its replies and events back, in the order sent. */
export interface QmpTransport {
  /** Where QEMU is, for people: a socket's path, a domain's name. */
  readonly location: string;
  /** Whether commands can be sent out of band. */
  readonly outOfBand: boolean;
  /** Descriptor of a connection that QEMU itself has at its other end; undefined where there is none, or no more. */
  readonly descriptor: number | undefined;
  /** Says who is told; call it once, before the first command. */
  begin(listener: QmpListener): void;
  /** Rejects when the command cannot be handed over. */
  send(request: QmpRequest): Promise<void>;
  close(): void;
}
