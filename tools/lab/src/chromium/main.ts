import { installChromium, missingForChromium } from './index.js';

const usage = `Usage: tsx tools/lab/src/chromium/main.ts COMMAND
  install  install Debian's Chromium if it is missing
  probe    say whether pages can be tested in it here`;

async function main([command]: readonly string[]): Promise<void> {
  if (command === 'install') console.log(await installChromium());
  else if (command === 'probe') console.log(`chromium: ${(await missingForChromium()) ?? 'works'}`);
  else {
    console.error(usage);
    process.exitCode = 2;
  }
}

await main(process.argv.slice(2));
