// Runs in dom0: takes checkpoints of a domain by the dirty log, stored durably. Prints what each cost, as JSON.
import { createEngine } from '@fitdoc/engine';
import { hypervisor } from '@fitdoc/hypervisor-xen';
import { Repository } from '@fitdoc/repository';
import { storeFactory } from '@fitdoc/store-fs';

const { domain, folder, count } = JSON.parse(process.argv[2]);
const engine = createEngine();
const store = await storeFactory.open(folder, { create: true });
const repository = await Repository.openOrInit(store);
const machine = await hypervisor.attach(domain);
const protection = await engine.protect(machine, repository, { resume: 'never' });
const costs = [];
for await (const { entry, cost } of protection.run({ everyMs: 500, count: count + 1 })) {
  const { pauseMs, pausePhases, captureMs, commitMs, dirtyPages } = cost;
  costs.push({ pauseMs, pausePhases, tookMs: captureMs + commitMs, dirtyPages, bytes: entry.bytes });
}
await machine.detach();
await engine.close();
await repository.close();
// The first one is the base.
console.log(JSON.stringify(costs.slice(1)));
process.exit(0);
