import { readFileSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildInitramfs, startGuest } from '../../lab/src/qemu/index.js';
import { Qmp } from './qmp.js';
import { changedPages, type ChangedPages } from './trace.js';

export interface RecordOptions {
  /** A shell script for busybox, run in the guest as its only program. */
  readonly load: string;
  readonly memoryMib: number;
  readonly epochs: number;
  readonly intervalSeconds: number;
  /** Seconds that the load runs before the first epoch. */
  readonly warmupSeconds: number;
  readonly accel: 'kvm' | 'tcg';
  readonly onEpoch?: (epoch: number, pages: number) => void;
}

export interface Recorded {
  readonly first: Uint8Array;
  readonly epochs: readonly ChangedPages[];
}

/**
 * Boots a real guest whose RAM lies in a shared file, lets it work, stops it at each interval and reads the
 * pages that differ from the stop before. The guest's clock runs on while it works only.
 */
export async function record(options: RecordOptions): Promise<Recorded> {
  const content = await readFile(options.load);
  const initramfs = await buildInitramfs([{ path: 'extra', mode: 0o755, content }]);
  const directory = await mkdtemp(join(tmpdir(), 'fitdoc-recorder-'));
  const ram = join(directory, 'ram');
  const memoryKib = options.memoryMib * 1024;
  const guest = await startGuest({
    accel: options.accel,
    guest: 'linux',
    shim: false,
    memoryKib,
    machine: 'pc,memory-backend=ram',
    initramfs,
    extraArgs: ['-object', `memory-backend-file,id=ram,size=${memoryKib}K,mem-path=${ram},share=on`],
  });
  try {
    await waitForText(guest.serialPath, 'LOAD ready', 180_000);
    await sleep(options.warmupSeconds * 1000);
    const qmp = await Qmp.connect(guest.qmpPath);
    try {
      return await recordEpochs(qmp, ram, options);
    } finally {
      qmp.close();
    }
  } finally {
    await guest.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function recordEpochs(qmp: Qmp, ram: string, options: RecordOptions): Promise<Recorded> {
  await qmp.command('stop');
  const first = readFileSync(ram);
  const epochs: ChangedPages[] = [];
  for (let before = first; epochs.length < options.epochs;) {
    await qmp.command('cont');
    await sleep(options.intervalSeconds * 1000);
    await qmp.command('stop');
    const next = readFileSync(ram);
    const changed = changedPages(before, next);
    epochs.push(changed);
    options.onEpoch?.(epochs.length, changed.gfns.length);
    before = next;
  }
  return { first, epochs };
}

async function waitForText(file: string, text: string, timeoutMs: number): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (Date.now() < end) {
    if ((await readFile(file, 'utf8').catch(() => '')).includes(text)) return;
    await sleep(100);
  }
  throw new Error(`The guest did not print "${text}" within ${timeoutMs / 1000} s.`);
}

/** Writes the parts of a recording to a file. */
export async function writeParts(file: string, parts: Iterable<Uint8Array>): Promise<void> {
  const handle = await open(file, 'w');
  try {
    for (const part of parts) await handle.writeFile(part);
  } finally {
    await handle.close();
  }
}
