import { setTimeout as sleep } from 'node:timers/promises';
import type { QmpClient } from '../../../../packages/qemu/src/qmp/client.js';
import { connectSocket } from '../../../../packages/qemu/src/qmp/socket.js';
import type { QmpEvent } from '../../../../packages/qemu/src/qmp/transport.js';
import { setCapabilities, setParameters } from '../../../../packages/qemu/src/session/settings.js';

type Capabilities = Parameters<typeof setCapabilities>[1];

/** A monitor of a running QEMU, beside the one that fitdoc uses. */
export class Monitor {
  private constructor(readonly qmp: QmpClient) {}

  static async connect(path: string): Promise<Monitor> {
    return new Monitor((await connectSocket(path)).client);
  }

  /** Gets QEMU ready to save itself or, with `colo`, to replicate itself, as fast as it can. */
  async prepare(colo: boolean): Promise<void> {
    const known = await this.qmp.execute<Capabilities>('query-migrate-capabilities');
    await setCapabilities(this.qmp, known, colo ? ['x-colo', 'events'] : ['events']);
    await setParameters(this.qmp, 300, colo);
  }

  async migrationStatus(): Promise<string | undefined> {
    return (await this.qmp.execute<{ status?: string }>('query-migrate')).status;
  }

  /** Waits until a migration has the status `wanted`; rejects when it fails. */
  async reached(wanted: string, timeoutMs = 300_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const status = await this.migrationStatus();
      if (status === wanted) return;
      if (status === 'failed' || status === 'cancelled' || Date.now() > deadline)
        throw new Error(`QEMU's migration is ${status} where ${wanted} was awaited`);
      await sleep(2);
    }
  }

  /** Lets the guest go on as soon as QEMU allows it: it takes a moment to put a completed migration away. */
  async resume(timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const refusal = await this.qmp.execute('cont').then(
        () => undefined,
        (error: unknown) => error,
      );
      if (refusal === undefined) return;
      if (Date.now() > deadline) throw refusal as Error;
      await sleep(1);
    }
  }

  /** Resolves with the next event of the given name. */
  event(name: string, timeoutMs = 120_000): Promise<QmpEvent> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => finish(new Error(`QEMU tells no ${name}`)), timeoutMs);
      const remove = this.qmp.onEvent((event) => {
        if (event.name === name) finish(event);
      });
      const finish = (result: QmpEvent | Error): void => {
        clearTimeout(timer);
        remove();
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
    });
  }

  /** Milliseconds in which the guest stands while `work` is done, by QEMU's own clock. */
  async pauseOf(work: () => Promise<void>): Promise<number> {
    const [stopped, resumed] = [this.event('STOP'), this.event('RESUME')];
    // Handled below; `work` may fail first.
    for (const event of [stopped, resumed]) event.catch(() => undefined);
    await work();
    return (await resumed).atMs - (await stopped).atMs;
  }

  close(): void {
    this.qmp.close();
  }
}
