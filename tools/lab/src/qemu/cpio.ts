/** A file of an initramfs; a directory when it has no content. */
export interface ArchiveFile {
  readonly path: string;
  readonly mode: number;
  readonly content?: Uint8Array;
}

/** Packs files as a "newc" cpio archive, the form in which Linux unpacks an initramfs. */
export function packArchive(files: readonly ArchiveFile[]): Uint8Array {
  const parts: Uint8Array[] = [];
  files.forEach((file, index) => parts.push(...entry(index + 1, file)));
  parts.push(...entry(0, { path: 'TRAILER!!!', mode: 0 }));
  return Buffer.concat(parts);
}

function entry(inode: number, { path, mode, content }: ArchiveFile): Uint8Array[] {
  const type = inode === 0 ? 0 : content === undefined ? 0o040000 : 0o100000;
  const size = content?.length ?? 0;
  const name = Buffer.from(`${path}\0`);
  const fields = [inode, type | mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.length, 0];
  const head = `070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}`;
  return [
    Buffer.concat([Buffer.from(head), name, padding(head.length + name.length)]),
    content ?? new Uint8Array(0),
    padding(size),
  ];
}

function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
