import { truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  buildInitramfs,
  guestDrivers,
  startGuest,
  VIRTIO_DISK,
  type RunningGuest,
} from '../../../lab/src/qemu/index.js';
import { run } from '../../../lab/src/shell.js';
import { debianPrograms, type DebianPrograms } from '../end-to-end/debian-programs.js';
import { whenLoaded } from '../end-to-end/when-loaded.js';

export const DISK = 'vda';
const DISK_BYTES = 256 << 20;

const SQLITE: DebianPrograms = {
  cache: 'sqlite',
  packages: ['sqlite3', 'libsqlite3-0', 'libreadline8', 'libtinfo6', 'zlib1g', 'libc6'],
  programs: ['sqlite3'],
  libraries: /^(ld-linux-x86-64|libc|libm|libdl|libpthread|libsqlite3|libreadline|libtinfo|libz)\.so/,
};

/** What a guest does with its disk; lines of shell. */
export interface DiskWork {
  readonly name: string;
  readonly before: readonly string[];
  /** Once a turn, for ever. */
  readonly turn: string;
  /** What the turns' output is fed to. Default: nothing. */
  readonly into?: string;
}

const ROWS = 40_000;

/** Transactions of four rows each, half of them among a hundredth of the rows. */
function database(journal: string): DiskWork {
  const row = (most: number): string =>
    `UPDATE t SET balance = balance + 1 WHERE id = 1 + abs(random()) % ${most};`;
  const fill = `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ${ROWS})`;
  return {
    name: `a database (SQLite, journal_mode=${journal})`,
    before: [
      `sqlite3 /mnt/db 'PRAGMA journal_mode=${journal}; CREATE TABLE t(id INTEGER PRIMARY KEY, name, balance, body)'`,
      `sqlite3 /mnt/db "${fill} INSERT INTO t SELECT x, 'user' || x, x * 7, hex(randomblob(60)) FROM c"`,
    ],
    turn: `echo "BEGIN; ${row(ROWS).repeat(2)} ${row(ROWS / 100).repeat(2)} COMMIT;"; sleep 0.02`,
    into: 'sqlite3 /mnt/db',
  };
}

/** Half text, half random, in files of 96 KiB that are written anew in turns, with a pause that makes it 1.5 MiB/s at most. */
const FILES: DiskWork = {
  name: 'files written anew',
  before: ['n=100000'],
  turn: [
    'n=$((n + 7)); f=/mnt/f$((n % 64))',
    '{ seq $n 1 $((n + 7000)) | head -c 49152; head -c 49152 /dev/urandom; } > $f.new; mv $f.new $f',
    'sleep 0.06',
  ].join('; '),
};

export const WORKS: readonly DiskWork[] = [FILES, database('wal'), database('delete')];

/** Boots a Linux guest that does this with an ext4 file system; resolves when its data is there and it works. */
export async function startDiskGuest(folder: string, work: DiskWork): Promise<RunningGuest> {
  const image = path.join(folder, 'disk.raw');
  await writeFile(image, '');
  await truncate(image, DISK_BYTES);
  await run('mkfs.ext4', ['-q', '-F', image]);
  const lines = [
    `until [ -b /dev/${DISK} ]; do sleep 0.1; done`,
    `mkdir -p /mnt; mount -t ext4 /dev/${DISK} /mnt`,
    ...work.before,
    'sync; echo LOAD 1',
    // Else the kernel keeps most of it back for longer than the bench runs.
    'while true; do sleep 1; sync; done &',
    `while true; do ${work.turn}; done${work.into === undefined ? '' : ` | ${work.into}`}`,
  ];
  const initramfs = await buildInitramfs([
    ...(await debianPrograms(SQLITE)),
    ...(await guestDrivers(VIRTIO_DISK, lines)),
  ]);
  const drive = `file=${image},format=raw,if=none,id=${DISK},discard=unmap`;
  const guest = await startGuest({
    ...{ accel: 'tcg', guest: 'linux', memoryKib: 160 * 1024 + 8, initramfs },
    extraArgs: ['-drive', drive, '-device', `virtio-blk-pci,drive=${DISK}`],
  });
  return whenLoaded(guest, work.name);
}
