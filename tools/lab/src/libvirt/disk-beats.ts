import { readFile } from 'node:fs/promises';

/** What a Linux guest found on its disk: whether that was what its memory says it wrote last. */
export interface DiskBeat {
  readonly beat: number;
  readonly intact: boolean;
}

/** The disk's beats on a serial console, in order. */
export async function readDiskBeats(serialPath: string): Promise<DiskBeat[]> {
  const text = await readFile(serialPath, 'latin1').catch(() => '');
  const found = text.matchAll(/^DB (\d{8}) (OK|CORRUPT.*?)\r?$/gm);
  return [...found].map(([, beat, verdict]) => ({ beat: Number(beat), intact: verdict === 'OK' }));
}
