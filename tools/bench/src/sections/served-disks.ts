import { spawn } from 'node:child_process';
import { access, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BASE_ALLOCATION, NbdClient } from '@fitdoc/nbd';
import type { BenchContext } from '../context.js';
import { syncFile } from '../end-to-end/durable.js';
import type { Row, Section } from '../section.js';
import { end, exportDisk, makeSubject, run, startServing, type Subject } from '../served/subject.js';
import { pairedRatio } from '../timing.js';

export const section: Section = {
  name: 'served-disks',
  title: "a checkpoint's disk served over NBD and written to a file, beside the same raw file, in turns",
  async requires() {
    for (const program of ['nbdcopy', 'qemu-nbd', 'qemu-img'])
      if (!(await has(program))) return `no ${program} (npx tsx tools/lab/src/nbd/main.ts install)`;
    return undefined;
  },
  async run(context) {
    const folder = await context.temporaryDirectory();
    const [size, used] = context.quick ? [1024, 128] : [10_240, 2048];
    context.log(`storing a disk of ${size} MiB, ${used} MiB of it used`);
    const subject = await makeSubject(folder, size, used);
    return [
      ...(await readingRows(context, folder, subject)),
      ...(await writingRows(context, folder, subject)),
      ...(await firstByteRows(context, folder, subject)),
    ];
  },
};

/** All of the disk, by the same program from either server. */
async function readingRows(context: BenchContext, folder: string, subject: Subject): Promise<Row[]> {
  const sockets = ['fitdoc', 'qemu'].map((name) => path.join(folder, `${name}.sock`)) as [string, string];
  const ours = await startServing(subject, sockets[0]);
  const theirs = spawn('qemu-nbd', ['-t', '-r', '-f', 'raw', '-e', '16', '-k', sockets[1], subject.raw]);
  try {
    while (!(await has(sockets[1]))) await sleep(20);
    const copy = (uri: string) => () => run('nbdcopy', uri, 'null:');
    const timings = await context.compare(
      [
        { name: 'fitdoc serve', run: copy(`nbd+unix:///disk0?socket=${sockets[0]}`) },
        { name: 'qemu-nbd', run: copy(`nbd+unix:///?socket=${sockets[1]}`) },
      ],
      { rounds: context.quick ? 3 : 7, warmUpMs: 0 },
    );
    const [served, raw] = [timings.get('fitdoc serve')!, timings.get('qemu-nbd')!];
    // Of the speeds, not of the times.
    const ratio = pairedRatio(raw, served);
    const name = 'all of the disk by nbdcopy, raw file in the page cache';
    return [
      { name, variant: 'qemu-nbd of the raw file', value: raw.median, unit: 'ms' },
      {
        ...{ name, variant: 'fitdoc serve', value: served.median, unit: 'ms', ratio },
        ...{ ratioTo: 'qemu-nbd of the raw file, speeds', target: { of: 'ratio', atLeast: 0.8 } as const },
      },
    ];
  } finally {
    await end(ours);
    await end(theirs);
  }
}

async function writingRows(context: BenchContext, folder: string, subject: Subject): Promise<Row[]> {
  const file = path.join(folder, 'written.raw');
  const write = (work: () => Promise<void>) => ({
    prepare: () => rm(file, { force: true }),
    run: async () => {
      await work();
      await syncFile(file);
    },
  });
  const timings = await context.compare(
    [
      { name: 'fitdoc', ...write(() => exportDisk(subject, file)) },
      {
        name: 'qemu-img',
        ...write(() => run('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', subject.raw, file)),
      },
    ],
    { rounds: context.quick ? 3 : 7, warmUpMs: 0 },
  );
  const [ours, theirs] = [timings.get('fitdoc')!, timings.get('qemu-img')!];
  const name = 'the disk written to a raw file, synced';
  return [
    { name, variant: 'qemu-img convert of the raw file', value: theirs.median, unit: 'ms' },
    {
      ...{ name, variant: 'fitdoc export --disk', value: ours.median, unit: 'ms' },
      ...{
        ratio: pairedRatio(ours, theirs),
        ratioTo: 'qemu-img convert',
        target: { of: 'ratio', atMost: 1.2 } as const,
      },
    },
  ];
}

/** From the start of the command until a client has the first 4 KiB of the disk. */
async function firstByteRows(context: BenchContext, folder: string, subject: Subject): Promise<Row[]> {
  const socket = path.join(folder, 'first.sock');
  const timings = await context.compare(
    [
      {
        name: 'first',
        prepare: () => undefined,
        run: async () => {
          const child = await startServing(subject, socket);
          const client = await NbdClient.connect(socket, 'disk0', BASE_ALLOCATION, { timeoutMs: 60_000 });
          await client.read(0, 4096);
          client.close();
          child.kill('SIGKILL');
        },
      },
    ],
    { rounds: context.quick ? 5 : 15, warmUpMs: 0 },
  );
  const value = timings.get('first')!.median;
  const row = {
    name: 'first 4 KiB read, from the start of fitdoc serve',
    variant: 'local store',
    unit: 'ms',
  };
  return [{ ...row, value, target: { of: 'value', atMost: 300 } }];
}

/** Whether a program is on the path, or a socket is there. */
async function has(what: string): Promise<boolean> {
  const places = what.includes('/')
    ? [what]
    : (process.env['PATH'] ?? '').split(':').map((each) => path.join(each, what));
  for (const place of places)
    if (
      await access(place).then(
        () => true,
        () => false,
      )
    )
      return true;
  return false;
}
