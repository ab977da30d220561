import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError, throwIfAborted, type PortAnswer } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';

/** How long a guest may take to say something, milliseconds. */
const CALL_MS = 10_000;
/** Between two looks at what became of a call, milliseconds. */
const LOOK_MS = 50;
/** Characters of what a guest says that are kept. */
const MOST = 4096;

type Monitor = Pick<QmpClient, 'execute'>;

/**
 * Calls a port of the guest by the user network that forwards to it. That network takes a connection before the guest
 * has: only its own table, or something that was said, tells of the guest. Errors: ABORTED, those of the monitor,
 * CAPABILITY_MISSING (nothing forwards to the port).
 */
export async function callPort(
  qmp: Monitor,
  port: number,
  expected: RegExp | undefined,
  signal: AbortSignal | undefined,
): Promise<PortAnswer> {
  const forward = (await connections(qmp, signal)).find((row) => row.state === FORWARD && row.to === port);
  if (!forward)
    throw new FitdocError('CAPABILITY_MISSING', `Nothing of QEMU's forwards to port ${port} of the guest.`, {
      hint: 'Have its user network do so: hostfwd=….',
    });
  const call = new Call(forward.host, forward.from);
  const until = performance.now() + CALL_MS;
  let taken = false;
  try {
    for (;;) {
      const rows = await connections(qmp, signal);
      // Read after the table: what is said last is not missed.
      const { said, isOver } = call;
      taken ||= said !== '' || rows.some(({ state, from }) => TAKEN.test(state) && from === forward.from);
      const isRight = expected ? expected.test(said) : taken;
      if (isRight || isOver || performance.now() > until) return { taken, said };
      await sleep(LOOK_MS, undefined, signal ? { signal } : {}).catch(() => throwIfAborted(signal));
    }
  } finally {
    call.end();
  }
}

const FORWARD = 'HOST_FORWARD';
/** States of TCP (RFC 9293) that a connection comes to only by the guest's consent. */
const TAKEN = /^(ESTABLISHED|CLOSE_WAIT|FIN_WAIT_\d|CLOSING|LAST_ACK|TIME_WAIT)$/;

interface Connection {
  readonly state: string;
  /** The address and the port on this host. */
  readonly host: string;
  readonly from: number;
  /** The port in the guest. */
  readonly to: number;
}

const ROW = /^\s*TCP\s*\[\s*(\w+)\s*\]\s+-?\d+\s+(\S+)\s+(\d+)\s+\S+\s+(\d+)\s/gm;

async function connections(qmp: Monitor, signal: AbortSignal | undefined): Promise<Connection[]> {
  const args = { 'command-line': 'info usernet' };
  const text = await qmp.execute<string>('human-monitor-command', args, { signal });
  return [...text.matchAll(ROW)].map(([, state, host, from, to]) => ({
    ...{ state: state!, host: host === '*' ? '127.0.0.1' : host! },
    ...{ from: Number(from), to: Number(to) },
  }));
}

/** A connection whose other end speaks first. */
class Call {
  readonly #socket: Socket;
  #said = '';
  #isOver = false;

  constructor(host: string, port: number) {
    this.#socket = connect({ host, port });
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: string) => (this.#said = (this.#said + text).slice(0, MOST)));
    const over = (): void => void (this.#isOver = true);
    this.#socket.once('end', over).once('close', over).on('error', over);
  }

  get said(): string {
    return this.#said;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  end(): void {
    this.#socket.destroy();
  }
}
