// Stops or kills this very process in the middle of a pause, once for each of `signals`, for others to see what
// becomes of the guest. Prints a line of JSON for each capture that comes to an end.
import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { OracleSink } from '@fitdoc/compliance/hypervisor';
import { hypervisor } from '@fitdoc/hypervisor-xen';

const { domain, config, signals } = JSON.parse(process.argv[2]);
const machine = await hypervisor.attach(domain, { config });
const sink = new OracleSink(machine.info.regions);
await (await sink.capture(machine)).commit();

function stopInPause(signal) {
  let loans = 0;
  sink.beforePlace = () => {
    // Pages may come that were held while the guest ran: the moment wanted is in the pause.
    if (loans++ % 10 !== 9) return;
    const list = execFileSync('xl', ['list', domain]).toString();
    if (!list.includes(' ---ss- ')) return;
    sink.beforePlace = undefined;
    writeFileSync('/run/stalled.new', `${process.pid} ${list}`);
    renameSync('/run/stalled.new', '/run/stalled');
    process.kill(process.pid, signal);
  };
}

const print = (result) => process.stdout.write(`${JSON.stringify(result)}\n`);
for (const signal of signals) {
  stopInPause(signal);
  await sink.capture(machine).then(
    () => print({ failed: 'nothing' }),
    ({ code, message }) => print({ failed: `${code}: ${message}` }),
  );
  const next = await sink.capture(machine);
  await next.commit();
  print({ kind: next.kind });
}
await machine.detach();
