import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { installPrograms } from '../apt.js';

/** Installs Debian's faketime if it is missing; only that needs root. Answers where its library is. */
export async function installFaketime(): Promise<string> {
  await installPrograms({ faketime: 'faketime' });
  const library = await faketimeLibrary();
  if (library === undefined) throw new Error('the package faketime brought no library');
  return library;
}

/** The library for programs with threads, in the folder of this machine's architecture; undefined when not there. */
export async function faketimeLibrary(): Promise<string | undefined> {
  const folders = await readdir('/usr/lib').catch(() => []);
  for (const folder of folders.filter((name) => name.endsWith('-linux-gnu'))) {
    const place = path.join('/usr/lib', folder, 'faketime');
    const files = await readdir(place).catch(() => []);
    const library = files.find((name) => name.startsWith('libfaketimeMT.so'));
    if (library !== undefined) return path.join(place, library);
  }
  return undefined;
}

/** Why the clock of a process cannot be set here, or undefined when it can. */
export async function missingForFaketime(): Promise<string | undefined> {
  if ((await faketimeLibrary()) !== undefined) return undefined;
  return 'no libfaketime (npx tsx tools/lab/src/faketime/main.ts install)';
}

/** A wall clock for processes, which can be set while they run. Their steady clock stays what it is. */
export class SettableClock {
  private constructor(
    private readonly file: string,
    /** For the environment of a process that is to go by it. */
    readonly env: Readonly<Record<string, string>>,
  ) {}

  /** `file` is written: what the clock is off by. */
  static async make(file: string): Promise<SettableClock> {
    const clock = new SettableClock(file, {
      LD_PRELOAD: (await faketimeLibrary()) ?? '',
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    });
    await clock.set(0);
    return clock;
  }

  /** Sets the clock so many seconds ahead of the host's, or behind. */
  set(seconds: number): Promise<void> {
    return writeFile(this.file, `${seconds < 0 ? '' : '+'}${seconds}\n`);
  }
}
