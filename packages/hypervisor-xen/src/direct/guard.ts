import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { bindXen, type XenCalls } from './binding.js';
import { DomainControl } from './control.js';
import type { LibraryPaths } from './libraries.js';
import { withdrawSuspend } from './suspend.js';

/** A domain that may be suspended by the process that is guarded against. */
class Guarded {
  readonly #control: DomainControl;
  #timer: NodeJS.Timeout | undefined;

  constructor(calls: XenCalls, domid: number) {
    this.#control = new DomainControl(calls, domid);
  }

  arm(limitMs: number): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#rescue(), limitMs);
  }

  disarm(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Somebody else sees to the domain from now on. */
  forget(): void {
    this.disarm();
    this.#control.close();
  }

  /** The process that captured it is gone: the guest must run, and nobody reads its dirty log any more. */
  async abandon(): Promise<void> {
    if (this.#timer !== undefined) {
      this.disarm();
      withdrawSuspend(this.#control);
      // A guest that took the request just before suspends a little later.
      for (let look = 0; look < 200; look++) {
        this.#rescue();
        await sleep(10);
      }
    }
    this.#control.stopLog();
    this.#control.close();
  }

  #rescue(): void {
    if (this.#control.flags().suspended) this.#control.resume();
  }
}

/**
 * The guard of all domains that another process captures: should that process die or stall while a guest is
 * suspended, the guard resumes the guest. stdin, a line each, answered by the same line: `arm DOMID LIMIT_MS`
 * before a suspend, `idle DOMID` after the resume, `forget DOMID` at the end; stdin's end means that the other
 * process is gone. Argument: paths of the libraries.
 */
async function main([paths]: string[]): Promise<void> {
  const calls = await bindXen(JSON.parse(paths!) as LibraryPaths);
  const domains = new Map<number, Guarded>();
  const obey = (word: string, domid: number, limitMs: number) => {
    const domain = domains.get(domid) ?? new Guarded(calls, domid);
    domains.set(domid, domain);
    if (word === 'arm') domain.arm(limitMs);
    else if (word === 'idle') domain.disarm();
    else {
      domain.forget();
      domains.delete(domid);
    }
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [word = '', domid, limitMs] = line.split(' ');
    obey(word, Number(domid), Number(limitMs));
    process.stdout.write(`${line}\n`);
  });
  process.stdout.on('error', () => {});
  process.stdout.write('ready\n');
  await new Promise((resolve) => lines.on('close', resolve));
  // A domain that is gone makes its own calls fail, and must not keep the others from their rescue.
  await Promise.allSettled([...domains.values()].map((domain) => domain.abandon()));
}

await main(process.argv.slice(2));
