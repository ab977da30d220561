import { once } from 'node:events';
import { truncate, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine, type Engine } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';
import { missingForKvm, startGuest, waitForHeartbeats } from '../../../lab/src/qemu/index.js';
import type { BenchContext } from '../context.js';
import { quantile } from '../end-to-end/statistics.js';
import type { Row, Section } from '../section.js';

const DISKS = ['vda', 'vdb', 'vdc', 'vdd'];
const DISK_BYTES = 64 << 20;
/** How many disks a checkpoint has, and the milliseconds that they may add to the median pause. */
const VARIANTS = [
  { disks: 0, name: 'no disk', atMost: undefined },
  { disks: 1, name: 'one disk', atMost: 3 },
  { disks: 4, name: 'four disks', atMost: 7 },
] as const;
/** From the end of one checkpoint to the next, so that the guest has written about the same. */
const BETWEEN_MS = 200;
/** What each disk is written between two of them, in places all over it. */
const WRITES = 8;
const WRITE_BYTES = 16_384;

export const section: Section = {
  name: 'disks',
  title: 'The pause of a guest on KVM with four disks, of which checkpoints have none, one or all, in turns',
  requires: missingForKvm,
  run,
};

async function run(context: BenchContext): Promise<Row[]> {
  const folder = await context.temporaryDirectory();
  const extraArgs = ['-monitor', 'unix:hmp.sock,server=on,wait=off'];
  for (const name of DISKS) {
    const image = path.join(folder, name);
    await writeFile(image, '');
    await truncate(image, DISK_BYTES);
    extraArgs.push('-drive', `file=${image},format=raw,if=none,id=${name}`);
    extraArgs.push('-device', `virtio-blk-pci,drive=${name}`);
  }
  const firmware = { guest: 'firmware', machine: 'pc', cpus: 2, accel: 'kvm' } as const;
  const guest = await startGuest({ ...firmware, name: 'bench', memoryKib: 256 * 1024, extraArgs });
  const engine = createEngine();
  try {
    await waitForHeartbeats(guest.serialPath, (beats) => beats.length >= 2, 60_000);
    const writer = await Writer.open(path.join(guest.directory, 'hmp.sock'));
    const store = await openStore(path.join(folder, 'r'), { create: true });
    const repository = await Repository.init(store);
    const pauses = VARIANTS.map((): number[] => []);
    const count = context.quick ? 5 : 20;
    for (let round = 0; round < (context.quick ? 2 : 10); round++) {
      context.log(`round ${round + 1}`);
      for (let turn = 0; turn < VARIANTS.length; turn++) {
        const index = (round + turn) % VARIANTS.length;
        const leaveOut = DISKS.slice(VARIANTS[index]!.disks);
        const subject = { location: `kvm:${guest.qmpPath}`, leaveOut, engine, repository, writer };
        pauses[index]!.push(...(await increments(subject, count)));
      }
    }
    writer.close();
    await repository.close();
    await store.close();
    return rowsOf(pauses);
  } finally {
    await engine.close();
    await guest.stop();
  }
}

interface Subject {
  readonly location: string;
  readonly leaveOut: readonly string[];
  readonly engine: Engine;
  readonly repository: Repository;
  readonly writer: Writer;
}

/** Milliseconds of the pauses of so many increments, by QEMU's clock. */
async function increments(subject: Subject, count: number): Promise<number[]> {
  const { location, leaveOut: leaveOutDisks, engine, repository, writer } = subject;
  const { hypervisor, rest } = await hypervisorFor(location);
  const machine = await hypervisor.attach(rest, { leaveOutDisks, disks: 'capture' });
  try {
    const protection = await engine.protect(machine, repository);
    // The first has all of the memory, the second what was written meanwhile.
    for (let first = 0; first < 2; first++) await protection.checkpoint();
    const pauses: number[] = [];
    for (let number = 0; number < count; number++) {
      await sleep(BETWEEN_MS);
      await writer.write();
      const { cost } = await protection.checkpoint();
      pauses.push(cost.pauseMs);
    }
    await protection.end();
    return pauses;
  } finally {
    await machine.detach();
  }
}

/** Writes to the disks through their front ends, as QEMU's own monitor can. */
class Writer {
  private writes = 0;

  private constructor(private readonly socket: Socket) {}

  static async open(file: string): Promise<Writer> {
    const socket = connect(file);
    socket.setEncoding('utf8');
    const writer = new Writer(socket);
    await writer.prompted();
    return writer;
  }

  async write(): Promise<void> {
    for (const disk of DISKS)
      for (let write = 0; write < WRITES; write++) {
        this.writes++;
        const offset = ((this.writes * 2_654_435_761) % (DISK_BYTES / WRITE_BYTES)) * WRITE_BYTES;
        const said = this.prompted();
        this.socket.write(`qemu-io ${disk} "write -P ${(this.writes % 250) + 1} ${offset} ${WRITE_BYTES}"\n`);
        const text = await said;
        if (/fail|error|unknown/i.test(text)) throw new Error(text);
      }
  }

  close(): void {
    this.socket.destroy();
  }

  private async prompted(): Promise<string> {
    let text = '';
    while (!/\(qemu\) $/.test(text)) text += String(((await once(this.socket, 'data')) as [string])[0]);
    return text;
  }
}

function rowsOf(pauses: readonly (readonly number[])[]): Row[] {
  const shares = [
    ['median', 0.5],
    ['p99', 0.99],
  ] as const;
  return shares.flatMap(([label, share]): Row[] => {
    const values = pauses.map((each) => quantile(each, share));
    return VARIANTS.flatMap(({ name: variant, atMost }, index): Row[] => {
      const value = values[index]!;
      const row = { name: `pause, ${label}`, variant, value, unit: 'ms' };
      if (atMost === undefined) return [row];
      const more = { name: `pause, ${label}, more than with no disk`, variant, unit: 'ms' };
      const target = label === 'median' ? { target: { of: 'value', atMost } as const } : {};
      return [row, { ...more, value: value - values[0]!, ...target }];
    });
  });
}
