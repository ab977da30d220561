import { buildColoShim, buildFirmware, buildInitramfs } from './build.js';
import { buildDiskInitramfs } from './disk-guest.js';
import { startGuest } from './guest.js';
import { missingForKvm, qemuVersion } from './host.js';
import { guestKernel, installQemu } from './install.js';
import { installRelease, OTHER_RELEASES, otherQemu } from './releases.js';

const usage = `Usage: tsx tools/lab/src/qemu/main.ts COMMAND
  install      install QEMU and the compiler from Debian; build the test guests; unpack the QEMUs of other releases
  probe        say what can run here
  run kvm|tcg  start a proving guest and show where its sockets are; ends with Ctrl-C`;

async function main([command, accel]: readonly string[]): Promise<void> {
  if (command === 'install') {
    await installQemu();
    const built = [await guestKernel(), await buildInitramfs(), await buildDiskInitramfs()];
    built.push(await buildFirmware(), await buildColoShim());
    console.log(built.join('\n'));
    await installReleases();
  } else if (command === 'probe') {
    console.log(`qemu: ${(await qemuVersion()) ?? 'not installed'}`);
    for (const release of OTHER_RELEASES)
      console.log(`qemu of ${release}: ${(await otherQemu(release))?.version ?? 'not unpacked'}`);
    console.log(`kvm: ${(await missingForKvm()) ?? 'runs the bare-metal guest'}`);
  } else if (command === 'run' && (accel === 'kvm' || accel === 'tcg')) {
    const guest = await startGuest({ accel });
    console.log(`pid ${guest.pid}\nqmp ${guest.qmpPath}\nserial ${guest.serialPath}`);
    process.once('SIGINT', () => void guest.stop());
    await guest.exited;
  } else {
    console.error(usage);
    process.exitCode = 2;
  }
}

/** What cannot be had is named last and makes this fail; the suites without it say so for themselves. */
async function installReleases(): Promise<void> {
  const missing: string[] = [];
  for (const release of OTHER_RELEASES) {
    try {
      const { program, version } = await installRelease(release);
      console.log(`${program} (${version})`);
    } catch (error) {
      missing.push(
        `QEMU of ${release} could not be had: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  if (missing.length === 0) return;
  console.error(missing.join('\n'));
  process.exitCode = 1;
}

await main(process.argv.slice(2));
