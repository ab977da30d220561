import { once } from 'node:events';
import { startCeph } from './cluster.js';
import { installCeph, missingForCeph } from './install.js';

const usage = `Usage: tsx tools/lab/src/ceph/main.ts COMMAND
  install  install Ceph from Debian
  start    start a cluster of one and show how to reach it; ends with Ctrl-C`;

async function main([command]: readonly string[]): Promise<void> {
  if (command === 'install') {
    await installCeph();
  } else if (command === 'start') {
    const missing = await missingForCeph();
    if (missing !== undefined) throw new Error(missing);
    const interrupted = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    const ceph = await startCeph();
    console.log(`export AWS_ENDPOINT_URL=${ceph.endpoint}`);
    console.log(`export AWS_ACCESS_KEY_ID=${ceph.accessKeyId}`);
    console.log(`export AWS_SECRET_ACCESS_KEY=${ceph.secretAccessKey}`);
    console.log(`# bucket: ${ceph.bucket}, folder: ${ceph.directory}`);
    // A pending promise alone does not keep Node alive.
    const alive = setInterval(() => undefined, 2 ** 30);
    await interrupted;
    clearInterval(alive);
    await ceph.stop();
  } else {
    console.error(usage);
    process.exitCode = 2;
  }
}

await main(process.argv.slice(2));
