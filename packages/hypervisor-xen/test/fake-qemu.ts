import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/**
 * A control socket that answers as QEMU's does, in a thread of its own: whoever asks does not return to its event loop
 * before the answer. `refuse` names commands that fail; `silent` those that get no answer;
 * `servesAfterMs`: how long somebody else is served first.
 */
const PROGRAM = `
const { createServer } = require('node:net');
const { parentPort, workerData } = require('node:worker_threads');
const { writeFileSync } = require('node:fs');
const { refuse, silent, servesAfterMs } = workerData;
const server = createServer((socket) => {
  socket.on('error', () => {});
  const say = (message) => socket.write(JSON.stringify(message) + '\\r\\n');
  if (silent.includes('greeting')) return;
  setTimeout(
    () => say({ QMP: { version: { qemu: { major: 7, minor: 2, micro: 22 } }, capabilities: [] } }),
    servesAfterMs,
  );
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
    for (let end; (end = text.indexOf('\\n')) >= 0; text = text.slice(end + 1)) {
      const { execute, arguments: given } = JSON.parse(text.slice(0, end));
      parentPort.postMessage({ execute, given });
      if (silent.includes(execute)) continue;
      if (refuse.includes(execute)) say({ error: { class: 'GenericError', desc: 'not now' } });
      else {
        if (execute === 'xen-save-devices-state') writeFileSync(given.filename, 'QEVM-state');
        say({ timestamp: {}, event: 'STOP' });
        say({ return: {} });
      }
    }
  });
});
server.listen(workerData.path, () => parentPort.postMessage('listening'));
`;

export interface Asked {
  readonly execute: string;
  readonly given?: Readonly<Record<string, unknown>>;
}

export interface Behaviour {
  readonly refuse?: readonly string[];
  readonly silent?: readonly string[];
  readonly servesAfterMs?: number;
}

export class FakeQemu {
  readonly asked: Asked[] = [];
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: Asked) => this.asked.push(message));
  }

  static async start(
    path: string,
    { refuse = [], silent = [], servesAfterMs = 0 }: Behaviour = {},
  ): Promise<FakeQemu> {
    const workerData = { path, refuse, silent, servesAfterMs };
    const worker = new Worker(PROGRAM, { eval: true, workerData });
    await once(worker, 'message');
    return new FakeQemu(worker);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
