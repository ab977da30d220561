// What the tests do inside dom0: `node scenarios.mjs NAME JSON` prints its result as JSON.
import { renameSync, writeFileSync } from 'node:fs';
import { hypervisor, hypervisorSsh } from '@fitdoc/hypervisor-xen';
import { outcome, proof, words, xl } from './guests.mjs';
import { History, pause } from './memory.mjs';

async function take(machine, history, options) {
  const before = Date.now();
  const harvest = await machine.capture(history, options);
  const pages = history.settle(machine.info, harvest);
  await harvest.commit();
  const { kind, pauseMs, pausePhases, notes } = harvest;
  return { kind, pages, pauseMs, pausePhases, notes, tookMs: Date.now() - before };
}

function opened(domain, ssh) {
  const adapter = ssh ? hypervisorSsh : hypervisor;
  const location = (name) => (ssh ? `//root@lab:22/${name}` : name);
  const extra = ssh ? { ssh } : {};
  return {
    attach: (config) => adapter.attach(location(domain), { config: { ...config, ...extra } }),
    restore: (name, source) => adapter.restore(location(name), source, { config: extra }),
  };
}

const scenarios = {
  /** Checkpoints, then restores of some, each proved by the restored guest and removed again. */
  async checkpoints({ domain, config, count, everyMs = 0, restore, ssh }) {
    const host = opened(domain, ssh);
    const machine = await host.attach(config);
    const history = new History(machine.info.regions);
    const captures = [];
    for (let index = 0; index < count; index++) {
      const steps = words(domain).steps.at(-1);
      captures.push({ ...(await take(machine, history)), steps });
      await pause(everyMs);
    }
    await machine.detach();
    const restored = [];
    for (const index of restore) {
      const name = `${domain}-at-${index}`;
      const before = Date.now();
      const report = await host.restore(name, history.source(index));
      const tookMs = Date.now() - before;
      restored.push({ index, ...report, tookMs, ...(await proof(name, 2)) });
      xl('destroy', name);
    }
    const { scheme, name } = machine.info;
    return {
      info: { scheme, name },
      supports: machine.supports,
      captures,
      restored,
      original: await proof(domain, 1),
    };
  },

  /** A store that is full, then a capture that is aborted: the next one makes both good. */
  async failures({ domain, config }) {
    const host = opened(domain);
    const machine = await host.attach(config);
    const history = new History(machine.info.regions);
    await take(machine, history);
    let refused = '';
    const harvest = await machine.capture(history);
    try {
      // A real full file system: 256 KiB for a checkpoint of some hundred pages.
      const pages = [...history.touched].map((gfn) => history.place(gfn, 1));
      writeFileSync('/run/full/checkpoint', Buffer.concat(pages));
    } catch (error) {
      refused = error.code;
    }
    const unsettled = await outcome(() => machine.capture(history));
    await harvest.rollback();
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 5);
    const aborted = await outcome(() => machine.capture(history, { signal: stop.signal }));
    const next = await take(machine, history);
    await machine.detach();
    const name = `${domain}-after`;
    await host.restore(name, history.source(1));
    const restored = await proof(name, 2);
    xl('destroy', name);
    return { refused, unsettled, aborted, next, restored, original: await proof(domain, 1) };
  },

  /** Stops this very process in the middle of a pause, for others to see what becomes of the guest. */
  async stall({ domain, config, signal }) {
    const machine = await opened(domain).attach(config);
    const history = new History(machine.info.regions);
    await take(machine, history);
    let placed = 0;
    const place = history.place.bind(history);
    history.place = (gfn, count) => {
      // Pages may come that were held while the guest ran: the moment wanted is in the pause.
      const list = placed++ % 10 === 9 ? xl('list', domain) : '';
      if (/ ---ss- /.test(list)) {
        writeFileSync('/run/stalled.new', `${process.pid} ${list}`);
        renameSync('/run/stalled.new', '/run/stalled');
        process.kill(process.pid, signal);
      }
      return place(gfn, count);
    };
    const result = await outcome(() => machine.capture(history));
    history.place = place;
    const next = await take(machine, history);
    await machine.detach();
    return { result, next };
  },

  /** The domain goes away under an attached machine. */
  async gone({ domain, config }) {
    const machine = await opened(domain).attach(config);
    xl('destroy', domain);
    const capture = await outcome(() => machine.capture(new History(machine.info.regions)));
    await machine.detach();
    return {
      capture,
      gone: machine.gone.reason?.code,
      again: await outcome(() => opened(domain).attach({})),
    };
  },

  /** What attaching says before any work starts. */
  async look({ domain, config }) {
    const refused = await outcome(() => opened(domain).attach(config));
    const machine = await opened(domain).attach({});
    await machine.detach();
    return { refused, supports: machine.supports };
  },
};

const [name, argument] = process.argv.slice(2);
const result = await scenarios[name](JSON.parse(argument));
console.log(JSON.stringify(result));
process.exit(0);
