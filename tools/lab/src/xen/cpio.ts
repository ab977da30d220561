import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

function field(value: number): string {
  return value.toString(16).padStart(8, '0');
}

function padded(bytes: Buffer): Buffer {
  const rest = bytes.length % 4;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)]);
}

function entry(name: string, inode: number, mode: number, data: Buffer): Buffer[] {
  const path = Buffer.from(`${name}\0`);
  const numbers = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, path.length, 0];
  const head = Buffer.from(`070701${numbers.map(field).join('')}`);
  return [padded(Buffer.concat([head, path])), padded(data)];
}

/** Packs a folder as an initramfs: the "newc" layout of cpio that Linux unpacks. All files belong to root. */
export function packInitramfs(folder: string): Buffer {
  const parts: Buffer[] = [];
  let inode = 1;
  const walk = (path: string) => {
    for (const name of readdirSync(join(folder, path)).sort()) {
      const inner = path === '' ? name : `${path}/${name}`;
      const stat = lstatSync(join(folder, inner));
      const data = stat.isSymbolicLink()
        ? Buffer.from(readlinkSync(join(folder, inner)))
        : stat.isFile()
          ? readFileSync(join(folder, inner))
          : Buffer.alloc(0);
      parts.push(...entry(inner, inode++, stat.mode, data));
      if (stat.isDirectory()) walk(inner);
    }
  };
  walk('');
  parts.push(...entry('TRAILER!!!', 0, 0, Buffer.alloc(0)));
  return Buffer.concat(parts);
}
