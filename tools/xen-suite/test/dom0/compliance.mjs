// Runs the compliance suite of the hypervisor port in dom0, against a guest that is there. Prints JSON.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisorSuite } from '@fitdoc/compliance/hypervisor';
import { hypervisor } from '@fitdoc/hypervisor-xen';

const { domain, config, only = '' } = JSON.parse(process.argv[2]);
const xl = (...words) => execFileSync('xl', words, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();

/** Throws unless the guest sweeps its memory twice and finds it whole. */
async function proof(name) {
  const said = (word) =>
    readFileSync(`/host/log/guest-${name}.log`, 'latin1').split(`GUEST-${word}`).length - 1;
  const before = said('OK');
  for (let look = 0; look < 300; look++, await sleep(200)) {
    if (said('BAD') > 0) throw new Error('the restored guest found damaged pages');
    if (said('OK') >= before + 2) return;
  }
  throw new Error(`guest ${name} says nothing; ${xl('list')}`);
}

const copy = `${domain}-copy`;
const place = {
  hypervisor,
  location: domain,
  attach: { config },
  isRunning: async () => / [-r][-b]---- /.test(xl('list', domain)),
  // A crash is the end that is hardest to see: the domain stays.
  kill: async () => void xl('sysrq', domain, 'c'),
  restoreTarget: async () => ({
    location: copy,
    // The guest proves its memory itself, word by word.
    verify: () => proof(copy),
    async dispose() {
      if (xl('list').includes(`${copy} `)) xl('destroy', copy);
    },
  }),
};

const tests = [];
const runner = { describe: (_name, body) => body(), it: (name, body) => tests.push({ name, body }) };
hypervisorSuite(runner, { name: 'xen', open: async () => place, absentLocation: 'nobody', rounds: 3 });

const results = [];
for (const { name, body } of tests.filter((test) => test.name.includes(only))) {
  // The sinks of earlier tests hold as much memory as the guest has.
  globalThis.gc();
  const start = performance.now();
  const error = await body().then(
    () => undefined,
    (reason) => `${reason.code ?? ''} ${reason.stack}`,
  );
  results.push({ name, passed: error === undefined, error, ms: performance.now() - start });
}
process.stdout.write(JSON.stringify(results));
