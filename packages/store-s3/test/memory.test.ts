import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { because, newPlace, serverCredentials, withoutServer } from './support/server.js';

const MIB = 2 ** 20;
const BODY_MIB = 320;
// The parts under way and the one that fills, twice for what the collector has not come to, and some room.
const ALLOWED = 2 * 5 * 8 * MIB + 32 * MIB;

describe.skipIf(withoutServer !== undefined)(`memory${because}`, () => {
  it(`streams ${BODY_MIB} MiB there and back in memory that does not depend on it`, async () => {
    const program = join(import.meta.dirname, 'support', 'large-put.mjs');
    const args = ['--expose-gc', program, newPlace(), serverCredentials(), String(BODY_MIB)];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    const { size, sum, growth } = JSON.parse(stdout) as Record<string, number> & {
      growth: Record<string, number>;
    };
    process.stderr.write(
      `growth over ${BODY_MIB} MiB: ${Object.entries(growth)
        .map(([name, bytes]) => `${name} ${(bytes / MIB).toFixed(1)} MiB`)
        .join(', ')}\n`,
    );
    expect(stderr, 'the store prints nothing').toBe('');
    expect(size).toBe(BODY_MIB * MIB);
    expect(sum).toBe(BODY_MIB * MIB);
    expect(growth['arrayBuffers']).toBeLessThan(ALLOWED);
    expect(growth['heapUsed']).toBeLessThan(32 * MIB);
    expect(growth['rss']).toBeLessThan(ALLOWED);
  }, 300_000);
});
