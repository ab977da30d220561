// Runs in dom0: takes checkpoints of a domain by the dirty log, stored durably. Prints what each cost, as JSON.
import { readdirSync, readFileSync } from 'node:fs';
import { createEngine } from '@fitdoc/engine';
import { hypervisor } from '@fitdoc/hypervisor-xen';
import { Repository } from '@fitdoc/repository';
import { storeFactory } from '@fitdoc/store-fs';

const { domain, folder, count, engine: options } = JSON.parse(process.argv[2]);
const engine = createEngine(options);
const store = await storeFactory.open(folder, { create: true });
const repository = await Repository.openOrInit(store);
const machine = await hypervisor.attach(domain);
const protection = await engine.protect(machine, repository, { resume: 'never' });

/** Of this process and of those that it started: what is cached of files the system takes back when it likes. */
function anonymousBytes() {
  let kilobytes = 0;
  for (const pid of readdirSync('/proc').filter((each) => Number(each) > 0)) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
      if (Number(pid) === process.pid || field('PPid') === process.pid) kilobytes += field('RssAnon');
    } catch {
      // It has ended.
    }
  }
  return kilobytes * 1024;
}

const costs = [];
for await (const { entry, cost } of protection.run({ everyMs: 500, count: count + 1 })) {
  const { pauseMs, pausePhases, captureMs, commitMs, dirtyPages } = cost;
  const { bytes } = entry;
  const ownBytes = anonymousBytes();
  costs.push({ pauseMs, pausePhases, tookMs: captureMs + commitMs, dirtyPages, bytes, ownBytes });
}
await machine.detach();
await engine.close();
await repository.close();
// The first one is the base.
console.log(JSON.stringify(costs.slice(1)));
process.exit(0);
