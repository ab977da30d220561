import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { release } from '../../../../packages/qemu/src/session/release.js';
import { run } from '../../../lab/src/shell.js';
import type { Monitor } from './monitor.js';

export interface DrainedCheckpoint {
  readonly pauseMs: number;
  /** Bytes that QEMU sent for the checkpoint before. */
  readonly bytesBefore: number;
}

/** QEMU's COLO with a receiver that throws away what it gets: the least pause that QEMU itself needs. */
export class DrainedColo {
  readonly #answers: AsyncIterator<string>;
  #drained = 0;

  private constructor(
    private readonly monitor: Monitor,
    private readonly receiver: ChildProcess,
    answers: AsyncIterator<string>,
  ) {
    this.#answers = answers;
  }

  /** Starts replication into the drain. `directory` gets the compiled receiver and its socket. */
  static async start(monitor: Monitor, directory: string): Promise<DrainedColo> {
    const program = path.join(directory, 'drain');
    const socket = path.join(directory, `drain-${Date.now()}.sock`);
    await run('gcc', ['-O2', '-o', program, path.join(import.meta.dirname, 'drain.c')]);
    const receiver = spawn(program, [socket], { stdio: ['pipe', 'pipe', 'inherit'] });
    const answers = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
    const colo = new DrainedColo(monitor, receiver, answers);
    try {
      await answers.next();
      await monitor.prepare(true);
      await monitor.qmp.execute('migrate', { uri: `unix:${socket}` });
      await monitor.reached('colo');
      const resumed = monitor.event('RESUME');
      resumed.catch(() => undefined);
      await colo.tell('r');
      await resumed;
      return colo;
    } catch (error) {
      await colo.end();
      throw error;
    }
  }

  /** Takes a checkpoint. QEMU asks for the next 5 ms after the last: requires that as much has passed. */
  async checkpoint(): Promise<DrainedCheckpoint> {
    const before = this.#drained;
    const pauseMs = await this.monitor.pauseOf(() => this.tell('c'));
    return { pauseMs, bytesBefore: this.#drained - before };
  }

  /** Ends replication; the guest goes on. */
  async end(): Promise<void> {
    if (this.receiver.exitCode === null && this.receiver.signalCode === null) {
      const exited = once(this.receiver, 'exit');
      this.receiver.kill('SIGKILL');
      await exited;
    }
    await release(this.monitor.qmp);
    await this.monitor.prepare(false);
  }

  private async tell(command: 'r' | 'c'): Promise<void> {
    this.receiver.stdin?.write(command);
    const answer = await this.#answers.next();
    if (answer.done) throw new Error('the drain has ended');
    this.#drained = Number(answer.value);
  }
}
