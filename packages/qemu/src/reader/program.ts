import { receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';
import { isFitdocError, type LentArea } from '@fitdoc/interface';
import { bindSockets } from '../native/binding.js';
import { hasEnded, waiting } from '../native/sockets.js';
import { readCheckpoint, readRequest, type CheckpointTimes } from '../stream/checkpoint.js';
import { readPrecopy } from '../stream/precopy.js';
import { LandingSink } from './landing.js';
import { CONTROL, type Failure, type Job, type Order, type Report, type Result } from './messages.js';
import { ended, StreamSource } from './source.js';

// The reader thread: does the jobs it is sent, by blocking calls, and never comes back to its event loop.

/** How often the thread looks, before the guest runs again, whether QEMU has nearly filled the buffer. */
const LOOK_EVERY_MS = 2;
/** Looks at which nothing came, after which QEMU is taken to wait: what a full buffer holds depends on its writes. */
const IDLE_LOOKS = 50;

const calls = await bindSockets();
const { control, port } = workerData as { control: Int32Array; port: MessagePort };
const loans: (readonly LentArea[])[] = [];
const jobs: Job[] = [];
let newest = 0;
let source: StreamSource | undefined;
let socket = -1;
let bufferBytes = 0;

for (;;) {
  report(attempt(next(jobs)));
}

function attempt(job: Job): Report {
  try {
    return { type: 'done', result: run(job) };
  } catch (error) {
    return { type: 'failed', failure: failureOf(error) };
  }
}

function run(job: Job): Result {
  switch (job.type) {
    case 'open':
      ({ socket, bufferBytes } = job);
      source = new StreamSource(socket, () => Atomics.load(control, CONTROL.stop) !== 0);
      return {};
    case 'header':
      return { header: open().run(open().sections.readHeader()) };
    case 'request':
      open().run(readRequest(open().queue));
      return {};
    case 'precopy': {
      const { queue, sections } = open();
      const devices = landed((sink) => open().run(readPrecopy(queue, sections, sink)));
      return { devices };
    }
    case 'checkpoint':
      return checkpoint(job.expectedBytes);
  }
}

function checkpoint(expectedBytes: number): Result {
  const { queue, sections } = open();
  const asItComes = !holdsAll(expectedBytes);
  const times: CheckpointTimes = { begun: 0, memory: 0, devices: 0 };
  const start = queue.position;
  const devices = landed((sink) => open().run(readCheckpoint(queue, sections, sink, times)));
  return { devices, bytes: queue.position - start, ...(asItComes && { times }) };
}

/**
 * Lets the kernel's buffer take the checkpoint while the guest stands, so that nothing wakes, copies or competes
 * for a core in the pause. Says whether it did: a checkpoint that is, or is likely to be, larger than the buffer
 * has to be read as it comes.
 */
function holdsAll(expectedBytes: number): boolean {
  if (expectedBytes * 2 > bufferBytes) return false;
  for (let before = 0, idle = 0; idle < IDLE_LOOKS;) {
    const seen = Atomics.load(control, CONTROL.signal);
    if (Atomics.load(control, CONTROL.resumed) !== 0 || Atomics.load(control, CONTROL.stop) !== 0)
      return true;
    // QEMU gave the migration up, or somebody cancelled it: no resumption will come that ends this wait.
    if (hasEnded(calls, socket)) return false;
    const held = waiting(calls, socket);
    if (held > bufferBytes / 4) return false;
    idle = held > 0 && held === before ? idle + 1 : 0;
    before = held;
    Atomics.wait(control, CONTROL.signal, seen, LOOK_EVERY_MS);
  }
  return false;
}

function landed<Value>(work: (sink: LandingSink) => Value): Value {
  const sink = new LandingSink({ borrow: () => next(loans), give: report });
  const value = work(sink);
  sink.flush();
  return value;
}

/** The next entry of a list that the other thread's orders fill. */
function next<Entry>(list: Entry[]): Entry {
  for (;;) {
    const seen = Atomics.load(control, CONTROL.signal);
    for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) {
      const order = got.message as Order;
      if (order.type === 'job') {
        newest = order.number;
        loans.length = 0;
        jobs.push(order.job);
      } else if (order.number === newest) loans.push(order.areas);
    }
    const entry = list.shift();
    if (entry !== undefined) return entry;
    if (list !== (jobs as unknown) && Atomics.load(control, CONTROL.stop) !== 0) throw ended();
    Atomics.wait(control, CONTROL.signal, seen);
  }
}

function open(): StreamSource {
  if (source === undefined) throw new Error('no stream is open');
  return source;
}

function report(message: Report): void {
  port.postMessage(message);
}

function failureOf(error: unknown): Failure {
  if (!isFitdocError(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return { code: undefined, message, hint: undefined, retryable: false, details: {} };
  }
  const { code, message, hint, retryable, details } = error;
  return { code, message, hint, retryable, details };
}
