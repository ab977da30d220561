import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiskOracle } from '@fitdoc/compliance/hypervisor';
import type { Harvest } from '@fitdoc/interface';
import { afterEach, describe, expect, test } from 'vitest';
import { run } from '../../../tools/lab/src/shell.js';
import { readNodes } from '../src/disks/bitmap.js';
import { Disks, type DiskSettings } from '../src/disks/disks.js';
import { sweepDisks } from '../src/disks/sweep.js';
import { directory, removeDirectories } from './support/disk-proof.js';
import { boot, stopGuests, withoutQemu, type TestGuest } from './support/real.js';
import { on, testedQemus, type TestedQemu } from './support/table.js';

afterEach(async () => {
  await stopGuests();
  await removeDirectories();
});

const SIZE = 1 << 20;
const found = withoutQemu === undefined ? await testedQemus() : [];
/** The oldest and the newest. */
const qemus = found.filter((_, index) => index === 0 || index === found.length - 1);

describe.each(qemus)('disks of a later attachment, on QEMU $version', (qemu) => {
  test.each([
    ...['committed', 'rolled back', 'not taken', 'left before its pause'],
    ...['left open', 'left open, and read', 'left open, though it is stored'],
  ])('are brought from the moment that is held, with the last capture %s', async (last) => {
    const bench = await Bench.open(qemu);
    const first = bench.attach();
    let held = await bench.take(first);
    await bench.writes();
    if (last !== 'committed' && last !== 'not taken') await bench.prepare(first);
    if (last === 'left before its pause') await first.record();
    else if (last !== 'committed' && last !== 'not taken') await first.freeze();
    if (last.startsWith('left')) {
      const now = await bench.content();
      if (last.endsWith('stored')) held = bench.momentOf(first, now);
      await bench.writes();
      if (last.endsWith('read')) await bench.isRead(first, now);
      // As the guard does when we are killed.
      await sweepDisks(bench.guest.monitor, { keepBitmaps: true });
    } else {
      await bench.writes();
      if (last === 'rolled back') await first.settle(false);
      await bench.writes();
      await first.end();
      if (last === 'not taken') await bench.attach().end();
    }
    await bench.writes();
    const later = bench.attach();
    expect(await bench.take(later, held)).toMatchObject({ kind: 'increment', notes: [] });
    await bench.writes();
    expect(await bench.take(later)).toMatchObject({ kind: 'increment', notes: [] });
    await later.end();
    expect(await bench.bitmaps()).toHaveLength(1);
  });

  test('are brought in full where what QEMU has noted is not to be trusted', async () => {
    let bench = await Bench.open(qemu);
    const { guest } = bench;
    const qmp = guest.monitor;
    const oldest = bench.attach();
    const older = await bench.take(oldest);
    await oldest.end();
    const distrusted = async (
      why: RegExp,
      spoil: () => Promise<unknown>,
      more: Spoiled = {},
    ): Promise<void> => {
      const before = bench.attach();
      const now = await bench.take(before);
      await bench.writes();
      await before.end();
      await spoil();
      await bench.writes();
      const later = bench.attach(more.life);
      const held = more.held ?? now;
      expect(await bench.take(later, held), String(why)).toMatchObject({
        kind: 'full',
        notes: [expect.stringMatching(why) as string],
      });
      await bench.writes();
      expect(await bench.take(later)).toMatchObject({ kind: 'increment', notes: [] });
      await later.end();
    };
    const nothing = async (): Promise<void> => undefined;
    await distrusted(/no notes/, nothing, { held: older });
    await distrusted(/of another disk, file or size/, nothing, { life: 'the next' });
    await distrusted(/kept QEMU from noting/, async () => {
      const [{ node, name } = { node: '', name: '' }] = await bench.bitmaps();
      await qmp.execute('block-dirty-bitmap-disable', { node, name });
    });
    await distrusted(/of another disk, file or size/, async () => {
      const [{ node, name } = { node: '', name: '' }] = await bench.bitmaps();
      await qmp.execute('block-dirty-bitmap-remove', { node, name });
      await qmp.execute('block-dirty-bitmap-add', { node, name, granularity: 65_536 });
    });
    await distrusted(/of another disk, file or size/, async () =>
      qmp.execute('block_resize', { 'node-name': 'top', size: 2 * SIZE }),
    );
    await distrusted(/of another disk, file or size/, async () => bench.replaceFile());
    await distrusted(/of another disk, file or size/, async () => bench.snapshotByOthers());
    await distrusted(/no notes/, async () => sweepDisks(qmp));
    await distrusted(/no notes/, async () => (bench = await bench.startAnew()));
  });
});

describe.each(qemus)('disks of which others take snapshots, on QEMU $version', (qemu) => {
  test('are right at the next capture, and so they are when the snapshot is committed', async () => {
    const bench = await Bench.open(qemu);
    const disks = bench.attach();
    await bench.take(disks);
    for (const others of [async () => bench.snapshotByOthers(), async () => bench.commitByOthers()]) {
      await bench.writes();
      await others();
      await bench.writes();
      expect(await bench.take(disks)).toMatchObject({
        kind: 'full',
        notes: [expect.stringMatching(/^All of disk disk was read: QEMU has it on another node/) as string],
      });
      await bench.writes();
      expect(await bench.take(disks)).toMatchObject({ kind: 'increment', notes: [] });
    }
    await disks.end();
    expect(await bench.ours()).toEqual([expect.stringMatching(/^fitdoc-bm-/)]);
  });

  test.each(['below', 'before'])(
    'lose nothing of the guest’s though the snapshot comes %s the filter of a capture that is read',
    async (where) => {
      const bench = await Bench.open(qemu);
      const disks = bench.attach();
      await bench.take(disks);
      await bench.writes();
      await bench.freeze(disks);
      const before = await bench.content();
      await bench.writes();
      await bench.snapshotByOthers(where === 'below' ? 'top' : await bench.node());
      await bench.writes();
      await bench.isRead(disks, before);
      await disks.settle(true);
      expect(await bench.node()).toBe('overlay');
      const now = await bench.content();
      expect(Buffer.compare(now, before)).not.toBe(0);
      await bench.writes();
      const next = await bench.take(disks);
      expect(next.kind).toBe('full');
      const told = next.notes.filter((note) => /^overlay stands on a filter of fitdoc/.test(note));
      expect(told).toHaveLength(where === 'below' ? 0 : 1);
      await disks.end();
      const filters = async (): Promise<string[]> =>
        (await bench.ours()).filter((name) => name.startsWith('fitdoc-cbw-'));
      expect(await filters()).toHaveLength(where === 'below' ? 0 : 1);
      await (where === 'below' ? bench.commitByOthers() : bench.streamByOthers());
      const later = bench.attach();
      await bench.writes();
      const held = where === 'below' ? undefined : next;
      expect(await bench.take(later, held)).toMatchObject({ kind: held ? 'increment' : 'full' });
      await later.end();
      expect(await bench.ours()).toEqual([expect.stringMatching(/^fitdoc-bm-/)]);
    },
  );
});

interface Spoiled {
  readonly held?: Taken;
  readonly life?: string;
}

interface Taken {
  readonly kind: string;
  readonly moment: string;
  readonly notes: readonly string[];
  readonly content: Buffer;
}

/** A QEMU without a guest, whose disk the test writes to through its front end. */
class Bench {
  private pattern = 0;
  /** What each attachment has committed. */
  private readonly before = new Map<Disks, Buffer>();

  private constructor(
    readonly guest: TestGuest,
    private readonly folder: string,
  ) {}

  static async open(qemu: TestedQemu): Promise<Bench> {
    const folder = await directory();
    for (const name of ['disk', 'other'])
      await run('qemu-img', ['create', '-q', '-f', 'raw', join(folder, name), `${SIZE}`]);
    const extraArgs = [
      ...['-S', '-blockdev', `driver=file,filename=${join(folder, 'disk')},node-name=file`],
      ...['-blockdev', 'driver=raw,file=file,node-name=top', '-device', 'ide-hd,drive=top,id=disk'],
    ];
    const options = { accel: 'tcg', guest: 'bare', shim: false, memoryKib: 16_384, extraArgs } as const;
    return new Bench(await boot({ ...options, ...on(qemu) }, 0), folder);
  }

  async startAnew(): Promise<Bench> {
    await this.guest.stop();
    return new Bench(await boot(this.guest.options, 0), this.folder);
  }

  attach(life = 'this'): Disks {
    const settings: DiskSettings = {
      ...{ directory: this.folder, socketDirectory: this.folder, timeoutMs: 30_000 },
      // As of a QEMU that tears snapshots, which is right of every other as well.
      ...{ tears: true, leftOut: new Set(), life, keepBitmaps: true },
    };
    return new Disks(this.guest.monitor, settings);
  }

  async prepare(disks: Disks, held?: Taken): Promise<void> {
    const moments = held && new Map([['disk', held.moment]]);
    await disks.prepare({ full: false, moments }, new AbortController().signal);
  }

  async freeze(disks: Disks, held?: Taken): Promise<void> {
    await this.prepare(disks, held);
    await disks.freeze();
  }

  /** Commits a capture; sees that it brings what was there, over what is held. */
  async take(disks: Disks, held?: Taken): Promise<Taken> {
    await this.freeze(disks, held);
    const content = await this.content();
    await this.writes();
    const taken = this.momentOf(disks, content);
    await this.isRead(disks, content, held?.content);
    await disks.settle(true);
    return taken;
  }

  /** A capture, which is to bring this content over what is held, or what was committed before. */
  async isRead(disks: Disks, content: Buffer, held = this.before.get(disks)): Promise<void> {
    const oracle = new DiskOracle();
    if (held) await oracle.apply(wholeDisk(held));
    await oracle.apply({ disks: disks.harvest() } as unknown as Harvest);
    expect(Buffer.compare(oracle.disks.get('disk')!.read(0, content.length), content)).toBe(0);
    this.before.set(disks, content);
  }

  momentOf(disks: Disks, content: Buffer): Taken {
    const [{ kind, moment = '' }] = disks.harvest() as [ReturnType<Disks['harvest']>[number]];
    return { kind, moment, notes: disks.notes, content };
  }

  /** Something new at several places, as a guest's driver would. */
  async writes(): Promise<void> {
    this.pattern = (this.pattern % 250) + 1;
    const at = (this.pattern * 37) % 200;
    for (const what of [
      `write -P ${this.pattern} ${at * 4096 + 512} 5120`,
      `write -z ${((at * 7) % 200) * 4096} 8192`,
      `write -P ${this.pattern} ${SIZE - 4096} 4096`,
      'flush',
    ]) {
      const line = { 'command-line': `qemu-io -d disk "${what}"` };
      const said = await this.guest.monitor.execute<string>('human-monitor-command', line);
      if (/fail|error|not found/i.test(said)) throw new Error(said);
    }
  }

  /** What the disk holds, read by others. */
  async content(): Promise<Buffer> {
    const drives = await this.guest.monitor.execute<{ inserted?: { file: string } }[]>('query-block');
    const drive = drives.find(({ inserted }) => inserted);
    const nodes = await this.guest.monitor.execute<{ 'node-name': string; drv: string; file: string }[]>(
      'query-named-block-nodes',
      { flat: true },
    );
    const file = drive?.inserted?.file ?? '';
    const format = nodes.some((node) => node.file === file && node.drv === 'qcow2') ? 'qcow2' : 'raw';
    if (format === 'raw') return readFile(file);
    const read = join(this.folder, 'read');
    // The backing file by name: an overlay may say that it is of a filter's format.
    const base = nodes.find((node) => node['node-name'] === 'top')?.file;
    const alone = `driver=qcow2,file.filename=${file}`;
    const options = base === undefined ? alone : `${alone},backing.driver=raw,backing.file.filename=${base}`;
    await run('qemu-img', ['convert', '-U', '--image-opts', '-O', 'raw', options, read]);
    return readFile(read);
  }

  /** The node that the guest's disk is on. */
  async node(): Promise<string> {
    const drives = await this.guest.monitor.execute<{ inserted?: { 'node-name': string } }[]>('query-block');
    return drives.find(({ inserted }) => inserted)!.inserted!['node-name'];
  }

  async ours(): Promise<string[]> {
    const { names, bitmaps } = await readNodes(this.guest.monitor);
    return [...names, ...bitmaps.map(({ name }) => name)].filter((name) => name.startsWith('fitdoc-'));
  }

  async bitmaps(): Promise<Awaited<ReturnType<typeof readNodes>>['bitmaps']> {
    return (await readNodes(this.guest.monitor)).bitmaps;
  }

  /** Another file behind the same node. */
  async replaceFile(): Promise<void> {
    const { monitor } = this.guest;
    const filename = join(this.folder, 'other');
    await run('qemu-img', ['resize', '-q', '-f', 'raw', filename, `${2 * SIZE}`]);
    await monitor.execute('blockdev-add', { driver: 'file', filename, 'node-name': 'other' });
    const options = [{ driver: 'raw', 'node-name': 'top', file: 'other' }];
    await monitor.execute('blockdev-reopen', { options });
  }

  async snapshotByOthers(node = 'top'): Promise<void> {
    await this.guest.monitor.execute('blockdev-snapshot-sync', {
      ...{ 'node-name': node, 'snapshot-file': join(this.folder, 'overlay') },
      ...{ 'snapshot-node-name': 'overlay', format: 'qcow2' },
    });
  }

  /** The end of that snapshot, into what it stands on. */
  async commitByOthers(): Promise<void> {
    const { monitor } = this.guest;
    const [ready, over] = [this.event('BLOCK_JOB_READY'), this.event('BLOCK_JOB_COMPLETED')];
    await monitor.execute('block-commit', { 'job-id': 'commit', device: 'overlay', 'base-node': 'top' });
    await ready;
    await monitor.execute('block-job-complete', { device: 'commit' });
    await over;
  }

  /** All of it into the snapshot's own file. */
  async streamByOthers(): Promise<void> {
    const over = this.event('BLOCK_JOB_COMPLETED');
    await this.guest.monitor.execute('block-stream', { 'job-id': 'stream', device: 'overlay' });
    await over;
  }

  private async event(wanted: string): Promise<void> {
    const { monitor } = this.guest;
    return new Promise((resolve) => monitor.onEvent(({ name }) => name === wanted && resolve()));
  }
}

function wholeDisk(content: Buffer): Harvest {
  const disk = {
    ...{ name: 'disk', sizeBytes: content.length, kind: 'full' },
    async *read() {
      yield { offset: 0, bytes: content };
    },
  };
  return { disks: [disk] } as unknown as Harvest;
}
