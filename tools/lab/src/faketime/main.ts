import { installFaketime, missingForFaketime } from './index.js';

const usage = `Usage: tsx tools/lab/src/faketime/main.ts COMMAND
  install  install Debian's faketime if it is missing
  probe    say whether the clock of a process can be set here`;

async function main([command]: readonly string[]): Promise<void> {
  if (command === 'install') console.log(await installFaketime());
  else if (command === 'probe') console.log(`faketime: ${(await missingForFaketime()) ?? 'works'}`);
  else {
    console.error(usage);
    process.exitCode = 2;
  }
}

await main(process.argv.slice(2));
