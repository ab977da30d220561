import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { MockIncrement } from './mock-child.js';

/** A process of its own for each machine: what one leaves behind in memory is not the other's. */
export class MockProcess {
  private constructor(private readonly process: ChildProcess) {}

  /** Begins to protect the machine, and takes its base. `memory`: bytes that its image may take. */
  static async start(location: string, directory: string, memory?: number): Promise<MockProcess> {
    await mkdir(directory);
    const given = [location, directory, ...(memory === undefined ? [] : [String(memory)])];
    const child = new MockProcess(fork(path.join(import.meta.dirname, 'mock-child.ts'), given));
    await child.next();
    return child;
  }

  increment(): Promise<MockIncrement> {
    this.process.send('increment');
    return this.next() as Promise<MockIncrement>;
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }

  private async next(): Promise<unknown> {
    const waiting = new AbortController();
    const { signal } = waiting;
    const ended = once(this.process, 'exit', { signal }).then(([code]) => {
      throw new Error(`the process of a mock machine ended with ${String(code)}`);
    });
    ended.catch(() => undefined);
    try {
      const [message] = (await Promise.race([once(this.process, 'message', { signal }), ended])) as unknown[];
      return message;
    } finally {
      waiting.abort();
    }
  }
}
