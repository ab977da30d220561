// Stops or kills this very process in the middle of a pause, once for each of `signals`, for others to see what
// becomes of the guest; with `resumed` as soon as the guest runs again. Prints a line of JSON for each capture that
// comes to an end.
import { execFileSync } from 'node:child_process';
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { OracleSink } from '@fitdoc/compliance/hypervisor';
import { hypervisor } from '@fitdoc/hypervisor-xen';

const { domain, config, mark, signals, resumed = false } = JSON.parse(process.argv[2]);
const isSuspended = suspendedBy(Number(execFileSync('xl', ['domid', domain]).toString()));
const machine = await hypervisor.attach(domain, { config });
const sink = new OracleSink(machine.info.regions);
await (await sink.capture(machine)).commit();

/** Called often while a capture is under way: by the sink, and by whoever measures the steps of a pause. */
let look = () => {};
sink.beforePlace = () => look();
const { now } = performance;
performance.now = () => {
  look();
  return now.call(performance);
};

/** Asks Xen itself whether a domain stands suspended: `xl list` takes longer than a pause may on a busy machine. */
function suspendedBy(domid) {
  const koffi = createRequire(fileURLToPath(import.meta.resolve('@fitdoc/hypervisor-xen')))('koffi');
  const folder = '/usr/lib/x86_64-linux-gnu';
  const library = koffi.load(
    `${folder}/${readdirSync(folder).find((name) => /^libxenctrl\.so\.4\.\d+$/.test(name))}`,
  );
  const handle = library.func('void *xc_interface_open(void *logger, void *builder, unsigned int flags)')(
    null,
    null,
    0,
  );
  const list = library.func(
    'int xc_domain_getinfolist(void *xch, uint32_t first, unsigned int most, void *info)',
  );
  const info = Buffer.alloc(256);
  return () => {
    if (list(handle, domid, 1, info) !== 1 || info.readUInt16LE(0) !== domid) return false;
    const flags = info.readUInt32LE(4);
    // Shut down, and for a suspend.
    return (flags & 4) !== 0 && ((flags >>> 16) & 255) === 2;
  };
}

function stopInPause(signal) {
  let seen = 0;
  look = () => {
    // The first that sees it may be called by who waits for the suspend and has not noticed: the pause proper is wanted.
    const suspended = isSuspended();
    // Once, and long enough for xenstored to have heard of the suspend.
    if (suspended && ++seen === 1 && resumed)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    if (seen < 2 || suspended === resumed) return;
    look = () => {};
    writeFileSync(`${mark}.new`, `${process.pid}`);
    renameSync(`${mark}.new`, mark);
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
  look = () => {};
  const next = await sink.capture(machine);
  await next.commit();
  print({ kind: next.kind });
}
await machine.detach();
