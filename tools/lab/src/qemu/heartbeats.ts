import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** One line of a proving guest: what worker `name` printed at its beat number `beat`. */
export interface Heartbeat {
  readonly name: string;
  readonly beat: number;
  /** Checksum over the worker's memory: a function of `name` and `beat` alone. */
  readonly sum: string;
  /** Whether the guest itself found its memory as it had left it. */
  readonly intact: boolean;
}

/** The whole heartbeat lines in a serial console's output, in order. */
export function parseHeartbeats(text: string): Heartbeat[] {
  const found: Heartbeat[] = [];
  for (const [, name, beat, sum, verdict] of text.matchAll(
    /^HB (\w) ([0-9a-f]{8}) ([0-9a-f]{16}) (OK|CORRUPT)\r?$/gm,
  ))
    found.push({ name: name!, beat: parseInt(beat!, 16), sum: sum!, intact: verdict === 'OK' });
  return found;
}

export async function readHeartbeats(serialPath: string): Promise<Heartbeat[]> {
  return parseHeartbeats(await readFile(serialPath, 'latin1').catch(() => ''));
}

/** Waits until the console's heartbeats satisfy `enough`, and gives them; rejects after `timeoutMs`. */
export async function waitForHeartbeats(
  serialPath: string,
  enough: (beats: readonly Heartbeat[]) => boolean,
  timeoutMs = 60_000,
): Promise<Heartbeat[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const beats = await readHeartbeats(serialPath);
    if (enough(beats)) return beats;
    if (Date.now() > deadline) {
      const tail = (await readFile(serialPath, 'latin1').catch(() => '')).slice(-500);
      throw new Error(`no heartbeat as awaited within ${timeoutMs} ms; the console ends: ${tail}`);
    }
    await sleep(25);
  }
}
