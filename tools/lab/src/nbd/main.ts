import { installNbdTools, missingForNbd } from './index.js';

const usage = `Usage: tsx tools/lab/src/nbd/main.ts COMMAND
  install  install Debian's qemu-utils and libnbd-bin if they are missing
  probe    say whether they are here`;

async function main([command]: readonly string[]): Promise<void> {
  if (command === 'install') await installNbdTools();
  else if (command === 'probe') console.log(`nbd: ${(await missingForNbd()) ?? 'here'}`);
  else {
    console.error(usage);
    process.exitCode = 2;
  }
}

await main(process.argv.slice(2));
