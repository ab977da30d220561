import { buildColoShim, buildFirmware, buildInitramfs } from './build.js';
import { startGuest } from './guest.js';
import { missingForKvm, qemuVersion } from './host.js';
import { guestKernel, installQemu } from './install.js';

const usage = `Usage: tsx tools/lab/src/qemu/main.ts COMMAND
  install      install QEMU and the compiler from Debian; build the test guests
  probe        say what can run here
  run kvm|tcg  start a proving guest and show where its sockets are; ends with Ctrl-C`;

async function main([command, accel]: readonly string[]): Promise<void> {
  if (command === 'install') {
    await installQemu();
    const built = [await guestKernel(), await buildInitramfs(), await buildFirmware(), await buildColoShim()];
    console.log(built.join('\n'));
  } else if (command === 'probe') {
    console.log(`qemu: ${(await qemuVersion()) ?? 'not installed'}`);
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

await main(process.argv.slice(2));
