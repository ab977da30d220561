import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { bindXen } from './binding.js';
import { DomainControl } from './control.js';
import type { LibraryPaths } from './libraries.js';
import { withdrawSuspend } from './suspend.js';

/**
 * The guard of a domain that another process captures: should that process die or stall while the guest is
 * suspended, the guard resumes the guest. stdin: `armed` before a suspend, `idle` after the resume; its end
 * means that the other process is gone. Arguments: domain number, longest pause in ms, paths of the libraries.
 */
async function main([domid, limit, paths]: string[]): Promise<void> {
  const control = new DomainControl(await bindXen(JSON.parse(paths!) as LibraryPaths), Number(domid));
  let armed = false;
  let timer: NodeJS.Timeout | undefined;
  const rescue = () => {
    if (!control.flags().suspended) return;
    control.resume();
    process.stdout.write('resumed\n');
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    armed = line === 'armed';
    clearInterval(timer);
    if (armed) timer = setInterval(rescue, Number(limit));
    process.stdout.write(`${line}\n`);
  });
  process.stdout.on('error', () => {});
  process.stdout.write('ready\n');
  await new Promise((resolve) => lines.on('close', resolve));
  clearInterval(timer);
  if (armed) {
    withdrawSuspend(control);
    for (let look = 0; look < 200; look++) {
      rescue();
      await sleep(10);
    }
  }
  control.stopLog();
  control.close();
}

await main(process.argv.slice(2));
