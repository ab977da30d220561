import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { FitdocError } from '@fitdoc/interface';
import { programFile } from '../native/programs.js';
import type { Loans } from './loans.js';
import { CONTROL, type Failure, type Job, type Order, type Report, type Result } from './messages.js';

/** Loans that the reader has at a time, so that it need not wait for this thread. */
const LOANS_AHEAD = 2;

interface Running {
  readonly loans: Loans | undefined;
  onStop(): void;
  resolve(result: Result): void;
  reject(error: unknown): void;
  /** What the sink threw; the reader is being stopped. */
  failure: unknown;
  /** Room is being made in the sink, for which the reader waits. */
  room: Promise<void> | undefined;
}

/**
 * A thread that reads QEMU's streams, so that this one's event loop sees none of their bytes and is needed for
 * nothing while a guest stands. It does one job at a time, and serves a machine for as long as it is attached.
 */
export class ReaderThread {
  private readonly control = new Int32Array(new SharedArrayBuffer(64));
  private readonly port: MessagePort;
  private readonly worker: Worker;
  private running: Running | undefined;
  private dead: FitdocError | undefined;
  private number = 0;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.worker = new Worker(programFile('reader', import.meta.url), {
      workerData: { control: this.control, port: port2 },
      transferList: [port2],
      execArgv: [],
      name: 'fitdoc reader',
    });
    this.port.on('message', (report: Report) => this.reported(report));
    this.worker.on('error', (cause) => this.died(cause));
    this.worker.on('exit', () => this.died());
    this.worker.unref();
    this.port.unref();
  }

  /**
   * Has a job done. `onStop` must end what the thread waits for when the sink has failed. It settles only when the
   * thread touches the loans' memory no more. Errors: those of the stream and of the sink, WORKER_DIED.
   */
  async run(job: Job, loans?: Loans, onStop: () => void = () => undefined): Promise<Result> {
    if (this.dead !== undefined) throw this.dead;
    this.port.ref();
    let running: Running | undefined;
    try {
      return await new Promise<Result>((resolve, reject) => {
        running = { loans, onStop, resolve, reject, failure: undefined, room: undefined };
        this.running = running;
        this.order({ type: 'job', number: ++this.number, job });
        if (loans !== undefined) this.lend(running);
      });
    } finally {
      this.running = undefined;
      this.port.unref();
      // Only then the sink is the caller's again.
      await running?.room;
    }
  }

  /** Says whether the guest runs: a checkpoint that the kernel's buffer holds is read from then on. */
  set resumed(value: boolean) {
    Atomics.store(this.control, CONTROL.resumed, value ? 1 : 0);
    this.signal();
  }

  /** Says whether what is under way, or begun from now on, is to end. */
  set stopped(value: boolean) {
    Atomics.store(this.control, CONTROL.stop, value ? 1 : 0);
    this.signal();
  }

  async close(): Promise<void> {
    this.stopped = true;
    await this.worker.terminate();
    this.port.close();
  }

  private reported(report: Report): void {
    const { running } = this;
    if (running === undefined) return;
    if (report.type === 'batch') this.take(running, report);
    else this.finish(running, report);
  }

  private take(running: Running, batch: Extract<Report, { type: 'batch' }>): void {
    if (running.failure !== undefined) return;
    try {
      running.loans!.take(batch);
    } catch (error) {
      this.spoil(running, error);
      return;
    }
    this.lend(running);
  }

  /** Lends as much as the reader may have; first has room made for it, once nothing is lent, where that is due. */
  private lend(running: Running): void {
    if (running.failure !== undefined || running.room !== undefined) return;
    const loans = running.loans!;
    try {
      if (loans.crowded) {
        if (loans.outstanding === 0) running.room = this.makeRoom(running);
        return;
      }
      while (loans.outstanding < LOANS_AHEAD)
        this.order({ type: 'loan', number: this.number, areas: loans.next() });
    } catch (error) {
      this.spoil(running, error);
    }
  }

  private async makeRoom(running: Running): Promise<void> {
    try {
      await running.loans!.makeRoom();
      running.room = undefined;
      if (this.running === running) this.lend(running);
    } catch (error) {
      if (this.running === running) this.spoil(running, error);
    }
  }

  private spoil(running: Running, error: unknown): void {
    running.failure = error ?? new Error('the sink failed');
    running.onStop();
  }

  private finish(running: Running, report: Exclude<Report, { type: 'batch' }>): void {
    if (running.failure !== undefined) running.reject(running.failure);
    else if (report.type === 'failed') running.reject(errorOf(report.failure));
    else {
      running.loans?.end();
      running.resolve(report.result);
    }
  }

  private order(order: Order): void {
    this.port.postMessage(order);
    this.signal();
  }

  private signal(): void {
    Atomics.add(this.control, CONTROL.signal, 1);
    Atomics.notify(this.control, CONTROL.signal);
  }

  private died(cause?: unknown): void {
    this.dead ??= new FitdocError('WORKER_DIED', "The thread that reads QEMU's stream has ended.", {
      cause,
      hint: 'Attach again; if it happens again, look for a memory limit on the process.',
      retryable: true,
    });
    this.running?.reject(this.dead);
  }
}

function errorOf({ code, message, hint, retryable, details }: Failure): Error {
  if (code === undefined) return new Error(message);
  return new FitdocError(code, message, { ...(hint !== undefined && { hint }), retryable, details });
}
