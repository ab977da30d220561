import { HOST_RELEASES, installRoot, type HostRelease } from './roots.js';

const usage = `Usage: tsx tools/lab/src/debian/main.ts COMMAND
  install  make a minimal root of each release that hosts run, from Debian's packages`;

if (process.argv[2] === 'install') {
  for (const release of Object.keys(HOST_RELEASES) as HostRelease[]) console.log(await installRoot(release));
} else {
  console.error(usage);
  process.exitCode = 2;
}
