import { setTimeout as sleep } from 'node:timers/promises';
import { XenHost } from './host.js';
import { installXen } from './install.js';
import { installXenPrograms, missingForXen, XEN_RELEASES, type XenRelease } from './packages.js';

const usage = `usage: xen install [RELEASE] fetch and build (4.17, or 4.20)
       xen start [RELEASE]   boot, print the run's folder, stay until interrupted
       xen exec FOLDER CMD   run a command in the dom0 of a started one`;

function releaseOf(word = '4.17'): XenRelease {
  const release = XEN_RELEASES.find((each) => each === word);
  if (release === undefined) throw new Error(`The lab has no Xen ${word}.`);
  return release;
}

async function main([verb, ...rest]: string[]): Promise<number> {
  const log = (line: string) => console.error(line);
  if (verb === 'install') await installXenPrograms();
  const missing = missingForXen();
  if (missing) throw new Error(`The Xen lab cannot run here: ${missing}.`);
  if (verb === 'install') {
    console.log(JSON.stringify(await installXen(releaseOf(rest[0]), log)));
    return 0;
  }
  if (verb === 'start') {
    const host = await XenHost.start({ release: releaseOf(rest[0]), log });
    console.log(host.folder);
    const stop = () => void host.stop().then(() => process.exit(0));
    process.on('SIGINT', stop).on('SIGTERM', stop);
    await sleep(2 ** 31 - 1);
    return 0;
  }
  if (verb === 'exec' && rest[0]) {
    const result = await XenHost.attach(rest[0]).run(rest.slice(1).join(' '), { timeoutMs: 600_000 });
    process.stdout.write(result.out);
    process.stderr.write(result.err);
    return result.code;
  }
  console.error(usage);
  return 2;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
