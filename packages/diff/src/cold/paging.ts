import { readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { FitdocError, MASK_SIZE, PAGE_SIZE } from '@fitdoc/interface';
import { clearBit, setBit, testBit } from '../bits.js';
import type { Shard } from '../shard.js';
import { discard } from './discard.js';
import { openPage, sealPage } from './sealing.js';

/** Pages that are sealed or opened at a time. */
const SEALED_PAGES = 64;

/**
 * Puts the content of pages into the cold file and gives their memory back. `pages` are the shard's numbers, ascending;
 * those that hold nothing, or are cold already, are passed over. Only while nobody else works on them.
 *
 * What cannot be written is given up where the repository has it (such a page is stored whole when it next comes), and
 * kept in memory where it does not yet. Gives the numbers of pages that stayed for that reason and of those given up.
 */
export function pageOut(shard: Shard, pages: Uint32Array): { stayed: number; lost: number } {
  const { residency, touched } = shard;
  const held = pages.filter((page) => testBit(touched, page) && !residency.isCold(page));
  const zeros = held.filter((page) => testBit(shard.zero, page));
  forEachRun(zeros, (page, count) => dropZeros(shard, page, count));
  const failed = { stayed: 0, lost: 0 };
  const filled = zeros.length === 0 ? held : held.filter((page) => testBit(touched, page));
  forEachRun(filled, (page, count) => {
    if (!writeOut(shard, page, count)) giveUp(shard, page, count, failed);
  });
  return failed;
}

/** Pages known to be zero are again as if never written. */
function dropZeros(shard: Shard, first: number, count: number): void {
  for (let page = first; page < first + count; page++) {
    clearBit(shard.touched, page);
    clearBit(shard.zero, page);
  }
  discard(bytesOf(shard, first, count));
}

function writeOut(shard: Shard, first: number, count: number): boolean {
  const { residency } = shard;
  for (let page = first; page < first + count; page++) residency.sums[page] = crc32(bytesOf(shard, page, 1));
  if (!write(shard, first, count)) return false;
  for (let page = first; page < first + count; page++) residency.setCold(page);
  discard(bytesOf(shard, first, count));
  return true;
}

function giveUp(shard: Shard, first: number, count: number, failed: { stayed: number; lost: number }): void {
  for (let page = first; page < first + count; page++) {
    if (testBit(shard.pending, page)) {
      failed.stayed++;
      continue;
    }
    failed.lost++;
    shard.residency.setLost(page);
    discard(bytesOf(shard, page, 1));
  }
}

function write(shard: Shard, first: number, count: number): boolean {
  const { file, key } = shard.residency;
  if (file === undefined) return false;
  try {
    if (!key) {
      writeAll(file, bytesOf(shard, first, count), positionOf(shard, first));
      return true;
    }
    for (let page = first; page < first + count; page += SEALED_PAGES) {
      const end = Math.min(page + SEALED_PAGES, first + count);
      const sealed: Uint8Array[] = [];
      for (let each = page; each < end; each++)
        sealed.push(sealPage(bytesOf(shard, each, 1), shard.handle.firstGfn + each, key));
      writeAll(file, Buffer.concat(sealed), positionOf(shard, page));
    }
    return true;
  } catch {
    return false;
  }
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;)
    done += writeSync(file, bytes, done, bytes.length - done, position + done);
}

/**
 * Reads those of `pages` (best ascending) that are cold into their memory. They stay marked as cold: `dropAgain` gives the
 * memory back. Gives the cold pages whose content is there now, and those whose content is lost.
 */
export function pageIn(shard: Shard, pages: Iterable<number>): { read: Uint32Array; lost: Uint32Array } {
  const { residency } = shard;
  if (residency.file === undefined) return NOTHING;
  const cold = Uint32Array.from(pages).filter((page) => residency.isCold(page));
  if (cold.length === 0) return NOTHING;
  forEachRun(
    cold.filter((page) => !residency.isLost(page)),
    (page, count) => read(shard, page, count),
  );
  const lost = cold.filter((page) => residency.isLost(page));
  return { read: lost.length === 0 ? cold : cold.filter((page) => !residency.isLost(page)), lost };
}

const NOTHING = { read: new Uint32Array(0), lost: new Uint32Array(0) };

function read(shard: Shard, first: number, count: number): void {
  const { residency } = shard;
  const bytes = bytesOf(shard, first, count);
  if (!readAll(residency.file!, bytes, positionOf(shard, first))) {
    for (let page = first; page < first + count; page++) residency.setLost(page);
    return;
  }
  const { key } = residency;
  for (let page = first; page < first + count; page++) {
    const content = bytesOf(shard, page, 1);
    if (key) content.set(openPage(content, shard.handle.firstGfn + page, key));
    if (crc32(content) !== residency.sums[page]! >>> 0) residency.setLost(page);
  }
}

function readAll(file: number, bytes: Uint8Array, position: number): boolean {
  try {
    for (let done = 0; done < bytes.length;) {
      const got = readSync(file, bytes, done, bytes.length - done, position + done);
      if (got === 0) return false;
      done += got;
    }
    return true;
  } catch {
    return false;
  }
}

/** Has pages in memory that are to be compared with what comes; of lost ones all words count as changed. */
export function bringIn(shard: Shard, pages: Iterable<number>): void {
  const { read: found, lost } = pageIn(shard, pages);
  for (const page of found) shard.residency.setResident(page);
  supposeChanged(shard, lost);
}

/** Gives the memory of pages back that `pageIn` read, which nobody changed since. */
export function dropAgain(shard: Shard, pages: Uint32Array): void {
  forEachRun(pages, (page, count) => discard(bytesOf(shard, page, count)));
}

/** Before a page is compared whose image is lost: all of its words count as changed. */
function supposeChanged(shard: Shard, pages: Uint32Array): void {
  for (const page of pages) {
    shard.masks.fill(0xff, page * MASK_SIZE, (page + 1) * MASK_SIZE);
    markChanged(shard, page);
    clearBit(shard.zero, page);
    shard.residency.setResident(page);
  }
}

/**
 * Cold pages of `from` to `to - 1` (only those not placed in this capture when `unplacedOnly`) become zero: what they
 * held need not be known for that. All of their words count as changed.
 */
export function zeroCold(shard: Shard, from: number, to: number, unplacedOnly: boolean): void {
  const { residency, placed } = shard;
  if (residency.file === undefined) return;
  let words = 0n;
  for (let word = from >>> 5; word << 5 < to; word++) {
    if (residency.cold[word] === 0) continue;
    for (let page = Math.max(from, word * 32); page < Math.min(to, word * 32 + 32); page++) {
      if (!residency.isCold(page) || (unplacedOnly && testBit(placed, page))) continue;
      // A thread that died may have read it in.
      discard(bytesOf(shard, page, 1));
      supposeChanged(shard, Uint32Array.of(page));
      setBit(shard.zero, page);
      words += 512n;
    }
  }
  Atomics.add(shard.changedWords, 0, words);
}

function markChanged(shard: Shard, page: number): void {
  setBit(shard.pending, page);
  setBit(shard.touched, page);
  setBit(shard.changed, page);
}

/** The error of one who needs what a cold page held. */
export function coldPagesLost(count: number): FitdocError {
  return new FitdocError(
    'MEMORY_BUDGET',
    `What ${count} pages held that had no place in memory could not be read back from the file that kept them.`,
    {
      hint: 'The disk of that file is full or failing: give it room, name another, or raise the memory budget. The next checkpoint takes every page again.',
      details: { coldPagesLost: count },
    },
  );
}

function bytesOf(shard: Shard, page: number, count: number): Uint8Array {
  return shard.image.subarray(page * PAGE_SIZE, (page + count) * PAGE_SIZE);
}

function positionOf(shard: Shard, page: number): number {
  return (shard.handle.firstGfn + page) * PAGE_SIZE;
}

/** Calls `visit` with each run of consecutive pages: its first and how many. */
function forEachRun(pages: Uint32Array, visit: (first: number, count: number) => void): void {
  for (let start = 0; start < pages.length;) {
    let end = start + 1;
    while (end < pages.length && pages[end] === pages[end - 1]! + 1) end++;
    visit(pages[start]!, end - start);
    start = end;
  }
}
