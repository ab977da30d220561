// Waits for time-outs while memory is collected again and again; says which came.
import { setTimeout as sleep } from 'node:timers/promises';
import { linkSignals, withPatience } from '../../dist/index.js';

const came = [];
const never = new AbortController().signal;
linkSignals(never, AbortSignal.timeout(100)).signal.addEventListener('abort', () => came.push('time-out'));
const hung = (signal) =>
  new Promise((_, reject) => {
    linkSignals(never, signal).signal.addEventListener('abort', () => reject(new Error('over')));
  });
withPatience(never, 150, hung).catch(() => came.push('patience'));
for (let round = 0; came.length < 2 && round < 500; round++) {
  globalThis.gc();
  await sleep(10);
}
process.stdout.write(came.join(', '));
