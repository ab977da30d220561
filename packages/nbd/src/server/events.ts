/** What happens at a server. `client` numbers connections, from 1. */
export type NbdEvent =
  | { readonly type: 'connected'; readonly client: number }
  /** It begins to read an export. */
  | { readonly type: 'opened'; readonly client: number; readonly export: string }
  /** It is gone. `reason`: why, where it broke the protocol or the connection failed. */
  | {
      readonly type: 'closed';
      readonly client: number;
      readonly export?: string;
      /** Bytes of disks that it was sent, zeros that were not sent as such included. */
      readonly bytes: number;
      readonly reason?: string;
    }
  /** Not let in: there are as many as may be. */
  | { readonly type: 'refused'; readonly client: number; readonly reason: string }
  /** A part of an export could not be read; the client got an error and may go on. */
  | {
      readonly type: 'failed';
      readonly client: number;
      readonly export: string;
      readonly offset: number;
      readonly length: number;
      readonly error: unknown;
    };
