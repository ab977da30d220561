import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { bindXen, type XenCalls } from '../xen/binding.js';
import { DomainControl } from '../xen/control.js';
import type { XenLibraries } from '../xen/libraries.js';
import { withdrawSuspend } from '../pause/suspend.js';
import { logWritesBeside, rescueDeviceModel } from '../devices/device-model.js';
import { endLog } from './end-log.js';
import { isBeingSaved, letGo } from './toolstack.js';

/** How often it is looked whether an armed domain stands, at most. */
const LOOK_MS = 500;
/** How often a device model may fail to go on before its guest is resumed without it. */
const MOST_REFUSALS = 3;

/** A domain that may be suspended by the process that is guarded against. */
class Guarded {
  readonly #control: DomainControl;
  #timer: NodeJS.Timeout | undefined;
  #monitors: readonly number[] = [];
  #refusals = 0;
  #standsSince: number | undefined;
  readonly #calls: XenCalls;

  constructor(calls: XenCalls, domid: number) {
    this.#calls = calls;
    this.#control = new DomainControl(calls, domid);
  }

  arm(limitMs: number, monitors: readonly number[]): void {
    clearInterval(this.#timer);
    this.#monitors = monitors;
    this.#standsSince = undefined;
    this.#timer = setInterval(() => this.#look(limitMs), Math.min(LOOK_MS, limitMs / 4));
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
      const { suspended, present } = this.#control.flags();
      // It may have died between the resume and the word of it: its end is for its monitor, which sees it only so.
      if (present && !suspended) this.#control.announceResume();
      // A guest that took the request just before suspends a little later; one that its operator paused since
      // then does so when it runs again.
      for (let look = 0; look < 200 || this.#control.flags().paused; look++) {
        if (this.#control.flags().suspended && !isBeingSaved(this.#control.domid)) this.#rescue();
        await sleep(look < 200 ? 10 : 200);
      }
      letGo(this.#monitors);
    }
    endLog(this.#control, (enable) => this.#logWrites(enable));
    this.#control.close();
  }

  #logWrites(enable: boolean): void {
    try {
      logWritesBeside(this.#calls, this.#control.domid, enable);
    } catch {
      // It is gone, or serves somebody else.
    }
  }

  // Armed before the suspend is asked for, which may take the guest a while: the limit is for the pause alone.
  #look(limitMs: number): void {
    // Who saves or migrates the guest suspends it as well: resumed in the midst of that, its image would be torn.
    if (!this.#control.flags().suspended || isBeingSaved(this.#control.domid)) {
      this.#standsSince = undefined;
      return;
    }
    this.#standsSince ??= performance.now();
    if (performance.now() - this.#standsSince >= limitMs) this.#rescue();
  }

  #rescue(): void {
    if (!this.#control.flags().suspended) return;
    try {
      // Before the vCPUs: what they ask of a device that stands is lost.
      rescueDeviceModel(this.#calls, this.#control.domid);
    } catch {
      // A guest without its devices is better than one that never runs again; but not at once.
      if (++this.#refusals < MOST_REFUSALS) return;
    }
    this.#refusals = 0;
    this.#control.resume();
    this.#control.announceResume();
    letGo(this.#monitors);
  }
}

/**
 * The guard of all domains that another process captures: should that process die or stall while a guest is
 * suspended, the guard resumes the guest. stdin, a line each, answered by the same line: `arm DOMID LIMIT_MS
 * MONITORS` (numbers of halted processes, by commas) before a suspend, `idle DOMID` after the resume, `forget DOMID` at the end; stdin's end means that the other
 * process is gone. Argument: the libraries, as JSON.
 */
async function main([libraries]: string[]): Promise<void> {
  const calls = await bindXen(JSON.parse(libraries!) as XenLibraries);
  const domains = new Map<number, Guarded>();
  const obey = (word: string, domid: number, limitMs: number, monitors: readonly number[]) => {
    const domain = domains.get(domid) ?? new Guarded(calls, domid);
    domains.set(domid, domain);
    if (word === 'arm') domain.arm(limitMs, monitors);
    else if (word === 'idle') domain.disarm();
    else {
      domain.forget();
      domains.delete(domid);
    }
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [word = '', domid, limitMs, monitors = ''] = line.split(' ');
    const pids = monitors.split(',').map(Number);
    obey(
      word,
      Number(domid),
      Number(limitMs),
      pids.filter((pid) => pid > 0),
    );
    process.stdout.write(`${line}\n`);
  });
  process.stdout.on('error', () => {});
  process.stdout.write('ready\n');
  await new Promise((resolve) => lines.on('close', resolve));
  // A domain that is gone makes its own calls fail, and must not keep the others from their rescue.
  await Promise.allSettled([...domains.values()].map((domain) => domain.abandon()));
}

await main(process.argv.slice(2));
