// Takes checkpoints of a domain and restores some of them under other names. One JSON argument; one JSON result.
import { hypervisor, hypervisorSsh } from '@fitdoc/hypervisor-xen';
import { History, pause } from './memory.mjs';

const { domain, config, count = 1, restore = [], everyMs = 0, ssh } = JSON.parse(process.argv[2]);
const adapter = ssh ? hypervisorSsh : hypervisor;
const location = (name) => (ssh ? `//lab/${name}` : name);
const remote = ssh ? { ssh } : {};

const started = Date.now();
const machine = await adapter.attach(location(domain), { config: { ...config, ...remote } });
const history = new History(machine.info.regions);
const captures = [];
for (let index = 0; index < count; index++) {
  const before = Date.now();
  const harvest = await machine.capture(history);
  const pages = history.settle(machine.info, harvest);
  await harvest.commit();
  captures.push({
    kind: harvest.kind,
    pages,
    pauseMs: Math.round(harvest.pauseMs),
    tookMs: Date.now() - before,
    phases: harvest.pausePhases,
    notes: harvest.notes,
  });
  await pause(everyMs);
}
await machine.detach();
const detachedMs = Date.now() - started;
const restored = [];
for (const index of restore) {
  const before = Date.now();
  const report = await adapter.restore(location(`${domain}-at-${index}`), history.source(index), {
    config: remote,
  });
  restored.push({ index, state: report.state, pages: report.pages, tookMs: Date.now() - before });
}
const { regions, ...info } = machine.info;
console.log(
  JSON.stringify({
    info,
    pages: regions.at(-1).firstGfn + regions.at(-1).pages,
    supports: machine.supports,
    captures,
    restored,
    detachedMs,
  }),
);
process.exit(0);
