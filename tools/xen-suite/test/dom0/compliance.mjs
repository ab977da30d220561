// Runs the compliance suite of the hypervisor port in dom0, against a guest that is there. Prints JSON.
import { hypervisorSuite } from '@fitdoc/compliance/hypervisor';
import { hypervisor } from '@fitdoc/hypervisor-xen';
import { outcome, proof, xl } from './guests.mjs';

const { domain, config, only = '' } = JSON.parse(process.argv[2]);

const place = {
  hypervisor,
  location: domain,
  attach: { config },
  isRunning: async () => / [-r][-b]---- /.test(xl('list', domain)),
  kill: async () => void xl('destroy', domain),
  restoreTarget: async () => ({
    location: `${domain}-suite`,
    // The guest proves its memory itself, word by word.
    async verify() {
      const { bad } = await proof(`${domain}-suite`, 2);
      if (bad > 0) throw new Error(`the restored guest found ${bad} damaged pages`);
    },
    dispose: async () => void (await outcome(async () => xl('destroy', `${domain}-suite`))),
  }),
};

const tests = [];
const runner = { describe: (_name, body) => body(), it: (name, body) => tests.push({ name, body }) };
hypervisorSuite(runner, { name: 'xen', open: async () => place, absentLocation: 'nobody', rounds: 3 });

const results = [];
for (const { name, body } of tests.filter((test) => test.name.includes(only))) {
  const start = Date.now();
  try {
    await body();
    results.push({ name, passed: true, ms: Date.now() - start });
  } catch (error) {
    results.push({
      name,
      passed: false,
      message: `${error.code ?? ''} ${error.stack}`,
      ms: Date.now() - start,
    });
  }
  process.stderr.write(`${JSON.stringify(results.at(-1))}\n`);
}
console.log(JSON.stringify(results));
process.exit(0);
