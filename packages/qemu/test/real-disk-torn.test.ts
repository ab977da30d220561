import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiskOracle } from '@fitdoc/compliance/hypervisor';
import { isFitdocError, type Harvest } from '@fitdoc/interface';
import { afterEach, describe, expect, test } from 'vitest';
import { run } from '../../../tools/lab/src/shell.js';
import { Disks } from '../src/disks/disks.js';
import { tearsSnapshots } from '../src/disks/tearing.js';
import { directory, removeDirectories } from './support/disk-proof.js';
import { boot, stopGuests, withoutQemu, type TestGuest } from './support/real.js';
import { on, testedQemus } from './support/table.js';

afterEach(async () => {
  await stopGuests();
  await removeDirectories();
});

const qemus = withoutQemu === undefined ? await testedQemus() : [];
const SIZE = 4 << 20;
/** Where content begins, and what the guest replaces while the snapshot is there: within a cluster amid it. */
const [BEFORE, ACROSS] = [266_240, 340_992];

describe.each(qemus)('a snapshot on QEMU $version', (qemu) => {
  test('is not torn where the guest has replaced a part of what is read', async () => {
    const image = join(await directory(), 'image');
    await run('qemu-img', ['create', '-q', '-f', 'raw', image, `${SIZE}`]);
    const drive = ['-drive', `file=${image},format=raw,if=none,id=disk,discard=unmap`];
    const extraArgs = ['-S', ...drive, '-device', 'virtio-blk-pci,drive=disk'];
    const options = { accel: 'tcg', guest: 'bare', shim: false, memoryKib: 16_384, extraArgs } as const;
    const guest = await boot({ ...options, ...on(qemu) }, 0);
    const disks = new Disks(guest.monitor, {
      ...{ directory: await directory(), socketDirectory: undefined, timeoutMs: 60_000 },
      ...{ tears: tearsSnapshots({ major: qemu.major, minor: 2, micro: 0, text: '' }), leftOut: new Set() },
      ...{ life: 'this', keepBitmaps: false },
    });
    const oracle = new DiskOracle();
    for (const kind of ['full', 'increment']) {
      for (const replace of ['write -z', 'discard', 'write -P 9', 'write -z -u']) {
        const [first, second] = ['write -P 205', 'write -P 206'];
        await io(guest, `${first} ${BEFORE} 262144`, `${second} ${3 << 20} 65536`, 'flush');
        await freeze(disks, kind === 'full');
        const then = await readFile(image);
        await io(guest, `${replace} ${ACROSS} 30720`, `${replace} ${3 << 20} 4096`, 'write -P 1 2M 512');
        await oracle.apply({ disks: disks.harvest() } as unknown as Harvest);
        const read = Buffer.from(oracle.disks.get('disk')!.read(0, SIZE));
        expect(differing(read, then), `${kind}, ${replace}`).toBeUndefined();
        await disks.settle(true);
      }
    }
    await disks.end();
    const exports = await guest.monitor.execute<object[]>('query-block-exports');
    const nodes = await guest.monitor.execute<object[]>('query-named-block-nodes', { flat: true });
    expect(JSON.stringify([exports, nodes])).not.toMatch(/"fitdoc-/);
  });
});

/** As often as a host that is too busy has it fail. */
async function freeze(disks: Disks, full: boolean): Promise<void> {
  for (let tries = 1; ; tries++) {
    await disks.prepare({ full }, new AbortController().signal);
    try {
      return await disks.freeze();
    } catch (error) {
      if (tries === 5 || !isFitdocError(error, 'CAPTURE_FAILED')) throw error;
      await disks.abandon();
    }
  }
}

/** Where two disks begin to differ. */
function differing(one: Buffer, other: Buffer): number | undefined {
  return one.equals(other) ? undefined : one.findIndex((byte, at) => byte !== other[at]);
}

/** As the guest's driver would: through whatever stands before the disk's content. */
async function io(guest: TestGuest, ...commands: string[]): Promise<void> {
  for (const command of commands) {
    const line = { 'command-line': `qemu-io disk "${command}"` };
    const said = await guest.monitor.execute<string>('human-monitor-command', line);
    if (/fail|error/i.test(said)) throw new Error(said);
  }
}
