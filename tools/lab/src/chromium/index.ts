import { access, constants } from 'node:fs/promises';
import { installPrograms } from '../apt.js';
import { run } from '../shell.js';

/** Where Debian's package puts the browser. */
export const chromiumPath = '/usr/bin/chromium';

/** Starts a browser that is root's, has no display, and looks for nothing on the network by itself. */
export const chromiumFlags: readonly string[] = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Installs Debian's Chromium if it is missing; only that needs root. Answers its version. */
export async function installChromium(): Promise<string> {
  await installPrograms({ [chromiumPath]: 'chromium' });
  return chromiumVersion();
}

/** Why pages cannot be tested in a real browser here, or undefined when they can. */
export async function missingForChromium(): Promise<string | undefined> {
  try {
    await access(chromiumPath, constants.X_OK);
    await chromiumVersion();
    return undefined;
  } catch {
    return `no working ${chromiumPath} (npx tsx tools/lab/src/chromium/main.ts install)`;
  }
}

async function chromiumVersion(): Promise<string> {
  return (await run(chromiumPath, ['--version'])).trim();
}
