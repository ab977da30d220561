import { once } from 'node:events';
import { startDomain } from './domains.js';
import { LibvirtHost } from './host.js';
import { installLibvirt, missingForLibvirt } from './install.js';

const usage = `Usage: tsx tools/lab/src/libvirt/main.ts COMMAND
  install  install libvirt and its driver for QEMU from Debian
  probe    say whether a libvirt of its own can run here
  start    start one with an emulated Linux guest, and show how to reach it; ends with Ctrl-C`;

async function main([command]: readonly string[]): Promise<void> {
  if (command === 'install') await installLibvirt();
  else if (command === 'probe') console.log(`libvirt: ${(await missingForLibvirt()) ?? 'works'}`);
  else if (command === 'start') await start();
  else {
    console.error(usage);
    process.exitCode = 2;
  }
}

async function start(): Promise<void> {
  const missing = await missingForLibvirt();
  if (missing !== undefined) throw new Error(missing);
  const interrupted = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  const host = await LibvirtHost.start();
  try {
    const { serialPath } = await startDomain(host, { name: 'linux', guest: 'linux' });
    console.log(`export LIBVIRT_DEFAULT_URI='${host.uri}'\n# domain linux, console ${serialPath}`);
    // A pending promise alone does not keep Node alive.
    const alive = setInterval(() => undefined, 2 ** 30);
    await interrupted;
    clearInterval(alive);
  } finally {
    await host.stop();
  }
}

await main(process.argv.slice(2));
