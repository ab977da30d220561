import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assetDirectory, cached, fingerprint } from './cache.js';
import { packArchive, type ArchiveFile } from './cpio.js';
import { run } from '../shell.js';

/** How much a bare-metal guest's CPU proves and dirties; see assets/qemu/heart.h. */
export interface FirmwareHeart {
  /** Memory under proof a CPU, MiB. Default 2. */
  readonly mib?: number;
  /** Pages that a beat writes. Default 48. */
  readonly pages?: number;
  /** Words of each page under proof, a power of two up to 512. Default 4: some hosts emulate each instruction. */
  readonly words?: number;
  /** Pause between beats in ticks of 10 ms. Default 5. */
  readonly ticks?: number;
}

/** Builds the bare-metal guest: a BIOS image of 64 KiB that proves its memory from 16 MiB up. */
export async function buildFirmware(heart: FirmwareHeart = {}): Promise<string> {
  const settings = Object.entries(heart).map(([name, value]) => `-DHEART_${name.toUpperCase()}=${value}`);
  const sources = ['firmware.c', 'firmware.S', 'firmware.ld', 'heart.h'];
  const directory = await cached(`firmware-${await fingerprint(sources, ...settings)}`, async (work) => {
    const flags = ['-m32', '-O2', '-ffreestanding', '-fno-pic', '-fno-stack-protector'];
    flags.push('-mgeneral-regs-only', '-fno-asynchronous-unwind-tables', ...settings);
    for (const source of ['firmware.c', 'firmware.S'])
      await run('gcc', [...flags, '-c', join(assetDirectory, source), '-o', `${source}.o`], work);
    const link = ['-m', 'elf_i386', '-T', join(assetDirectory, 'firmware.ld')];
    await run('ld', [...link, 'firmware.S.o', 'firmware.c.o', '-o', 'firmware.elf'], work);
    await run(
      'objcopy',
      ['-O', 'binary', '-j', '.text', '-j', '.reset', 'firmware.elf', 'firmware.bin'],
      work,
    );
  });
  return join(directory, 'firmware.bin');
}

/**
 * Builds an initramfs of busybox, the proving program and what the caller adds (an executable `extra` at its
 * root runs before that program). Packed anew at each call when files are added; else cached.
 */
export async function buildInitramfs(added: readonly ArchiveFile[] = []): Promise<string> {
  const sources = ['heart.c', 'heart.h', 'init'];
  const contents = added.map(
    (file) => `${file.path} ${file.mode} ${Buffer.from(file.content ?? []).toString('base64')}`,
  );
  const directory = await cached(`initramfs-${await fingerprint(sources, ...contents)}`, async (work) => {
    await run('gcc', ['-O2', '-static', '-o', join(work, 'heart'), join(assetDirectory, 'heart.c')]);
    const busybox = await run('sh', ['-c', 'command -v busybox']);
    const archive = packArchive([
      { path: 'bin', mode: 0o755 },
      { path: 'dev', mode: 0o755 },
      { path: 'init', mode: 0o755, content: await readFile(join(assetDirectory, 'init')) },
      { path: 'bin/busybox', mode: 0o755, content: await readFile(busybox.trim()) },
      { path: 'bin/heart', mode: 0o755, content: await readFile(join(work, 'heart')) },
      ...added,
    ]);
    await writeFile(join(work, 'initramfs.cpio'), archive);
  });
  return join(directory, 'initramfs.cpio');
}

/** Builds a guest program from one of the assets; its content, for an initramfs. */
export async function buildProgram(source: string): Promise<Uint8Array> {
  const directory = await cached(`program-${await fingerprint([source, 'heart.h'])}`, async (work) => {
    await run('gcc', ['-O2', '-static', '-o', join(work, 'program'), join(assetDirectory, source)]);
  });
  return readFile(join(directory, 'program'));
}

/** Builds the library that QEMU needs preloaded for COLO under software emulation; see its source. */
export async function buildColoShim(): Promise<string> {
  const directory = await cached(`colo-shim-${await fingerprint(['colo-tcg-shim.c'])}`, async (work) => {
    const flags = ['-shared', '-fPIC', '-O2', '-o', join(work, 'shim.so')];
    await run('gcc', [...flags, join(assetDirectory, 'colo-tcg-shim.c'), '-ldl']);
  });
  return join(directory, 'shim.so');
}
