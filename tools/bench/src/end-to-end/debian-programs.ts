import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { cached } from '../../../lab/src/qemu/cache.js';
import type { ArchiveFile } from '../../../lab/src/qemu/index.js';
import { run } from '../../../lab/src/shell.js';

/** Programs of Debian's that run in a guest with nothing else installed. */
export interface DebianPrograms {
  /** What they are kept by. */
  readonly cache: string;
  readonly packages: readonly string[];
  /** Names, in `usr/bin`. */
  readonly programs: readonly string[];
  /** File names of the shared libraries among the packages' that are needed. */
  readonly libraries: RegExp;
}

/** The programs and their libraries as files of an initramfs. */
export async function debianPrograms(wanted: DebianPrograms): Promise<ArchiveFile[]> {
  const root = path.join(await unpacked(wanted), 'root');
  const folders = ['lib64', 'lib', 'lib/x86_64-linux-gnu'].map((folder) => ({ path: folder, mode: 0o755 }));
  const files: ArchiveFile[] = [];
  for (const name of wanted.programs) {
    const content = await readFile(path.join(root, 'usr/bin', name));
    files.push({ path: `bin/${name}`, mode: 0o755, content });
  }
  const found = new Set<string>();
  for (const folder of ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu']) {
    for (const name of await readdir(path.join(root, folder)).catch(() => [])) {
      const file = path.join(root, folder, name);
      if (!wanted.libraries.test(name) || found.has(name) || !(await stat(file)).isFile()) continue;
      found.add(name);
      const content = await readFile(file);
      const target = name.startsWith('ld-linux') ? `lib64/${name}` : `lib/x86_64-linux-gnu/${name}`;
      files.push({ path: target, mode: 0o755, content });
    }
  }
  return [...folders, ...files];
}

/** Downloaded and unpacked once; nothing is installed. */
async function unpacked({ cache, packages }: DebianPrograms): Promise<string> {
  return cached(cache, async (work) => {
    const download = ['-o', 'APT::Sandbox::User=root', '-q', 'download', ...packages];
    await run('apt-get', download, work).catch(async () => {
      await run('apt-get', ['-o', 'DPkg::Lock::Timeout=600', '-q', 'update']);
      await run('apt-get', download, work);
    });
    for (const file of await readdir(work)) {
      if (file.endsWith('.deb')) await run('dpkg', ['-x', file, 'root'], work);
    }
  });
}
