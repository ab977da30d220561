import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { gate } from '../../lab/src/gate.js';
import { missingForQemu } from '../../lab/src/qemu/index.js';
import { beatIn, HeartModel } from '../src/heart-model.js';

/** The guest's own program, as a program of this machine: writes its memory at a beat and prints its line. */
const PROGRAM = `
#include "${path.resolve(import.meta.dirname, '../../lab/assets/qemu/heart.h')}"
#include <stdio.h>
#include <stdlib.h>
static uint64_t memory[512 * 512];
int main(int count, char **arguments) {
  struct heart heart = {memory, 512, 4, 48, 0x5eed0000ull, 0, 0};
  heart_start(&heart);
  for (int beats = atoi(arguments[1]); beats > 0; beats--) heart_beat(&heart);
  char line[64];
  fwrite(line, 1, heart_line(&heart, 0, line), stdout);
  FILE *out = fopen(arguments[2], "wb");
  fwrite(memory, 1, sizeof memory, out);
  return fclose(out) + count - 3;
}`;

/** Where the words under proof are: four a page. */
const WORDS = Array.from({ length: 512 * 4 }, (_, index) => index * 1024);

const qemu = gate('kvm', await missingForQemu());
const folder = mkdtempSync(path.join(tmpdir(), 'fitdoc-heart-'));
afterAll(() => rmSync(folder, { recursive: true }));

function guestAt(beat: number): { line: string; memory: Buffer } {
  const file = path.join(folder, 'memory');
  const line = execFileSync(path.join(folder, 'heart'), [String(beat), file], { encoding: 'latin1' });
  return { line, memory: readFileSync(file) };
}

describe.skipIf(qemu.skip)(qemu.title('the model of the guest that proves its memory'), () => {
  it('is the guest, at any beat and in any order', () => {
    writeFileSync(path.join(folder, 'heart.c'), PROGRAM);
    execFileSync('gcc', ['-O1', '-o', path.join(folder, 'heart'), path.join(folder, 'heart.c')]);
    const model = new HeartModel();
    for (const beat of [300, 1, 64, 129, 0, 63]) {
      const { line, memory } = guestAt(beat);
      expect(line).toContain(`${model.sumAt(beat)} OK`);
      expect(model.isMomentOf(beat, memory)).toBe(true);
    }
  });

  it('notices a wrong word, a lost beat and a page of another time', () => {
    const model = new HeartModel();
    const { memory } = guestAt(200);
    expect(model.isMomentOf(200, memory)).toBe(true);
    for (const at of [4096, 4096 * 511, 4096 * 100 + 1024 + 7]) {
      const wrong = Buffer.from(memory);
      wrong[at] = (wrong[at] ?? 0) ^ 4;
      expect(model.isMomentOf(200, wrong)).toBe(false);
    }
    expect(model.isMomentOf(203, memory)).toBe(false);
    expect(model.isMomentOf(197, memory)).toBe(false);
    const older = guestAt(190).memory;
    const mixed = Buffer.concat([older.subarray(0, 4096 * 256), memory.subarray(4096 * 256)]);
    expect(model.isMomentOf(200, mixed)).toBe(false);
  });

  it('takes a moment within a beat, a word half written too', () => {
    const model = new HeartModel();
    let torn = 0;
    for (let beat = 1; beat <= 4; beat++) {
      const [before, after] = [guestAt(beat - 1).memory, guestAt(beat).memory];
      expect(model.isMomentOf(beat, before)).toBe(true);
      expect(model.isMomentOf(beat, after)).toBe(true);
      const changed = WORDS.filter((at) => differs(before, after, at));
      expect(changed.length).toBeGreaterThan(10);
      // Of the words that a beat changes only the first can be new, or half new, while the others are old.
      const mixed = Buffer.from(before);
      const taken = (bytes: number): number =>
        changed.filter((at) => {
          after.copy(mixed, at, at, at + bytes);
          const isMoment = model.isMomentOf(beat, mixed);
          before.copy(mixed, at, at, at + bytes);
          return isMoment;
        }).length;
      expect(taken(8)).toBeLessThanOrEqual(1);
      expect(taken(4)).toBeLessThanOrEqual(1);
      torn += taken(4);
    }
    expect(torn).toBeGreaterThan(0);
  });
});

function differs(one: Buffer, other: Buffer, at: number): boolean {
  return one.compare(other, at, at + 8, at, at + 8) !== 0;
}

it('finds the beat in the low memory, and says when there is none', () => {
  const low = new Uint8Array(0x60000);
  expect(beatIn(low)).toBeUndefined();
  const view = new DataView(low.buffer);
  [0x1000000, 512, 4, 48, 0x5eed0000, 0, 77, 0].forEach((value, index) =>
    view.setUint32(0x20440 + 4 * index, value, true),
  );
  expect(beatIn(low)).toBe(77);
});
