import { FitdocError } from '@fitdoc/interface';
import { property } from '../machine/devices.js';
import type { QemuVersion, QmpClient } from '../qmp/client.js';
import { findDisks, type FoundDisk } from './found.js';
import { isOurs } from './names.js';

/** Front ends that hand the guest's commands to a device of the host: its writes pass QEMU's block layer by. */
const PASSED_THROUGH = /^scsi-(block|generic)$/;
/** Devices whose storage another process holds, or a folder of the host's: QEMU has no disk of theirs. */
const HELD_BY_OTHERS = /^(vhost-user-blk|vhost-user-scsi|vhost-scsi|vhost-user-fs|virtio-9p|vhost-vdpa)/;

/**
 * Why this QEMU's disks cannot be captured, naming the disk, for people; undefined where they can. Only asks.
 * `leftOut`: names of disks that are not captured.
 */
export async function diskObstacle(
  qmp: QmpClient,
  version: QemuVersion,
  leftOut: ReadonlySet<string> = new Set(),
): Promise<string | undefined> {
  const { major, minor } = version;
  if (major < 7 || (major === 7 && minor < 2)) return `it takes QEMU 7.2, and this is ${version.text}`;
  const writers = await otherWriters(qmp);
  for (const disk of await findDisks(qmp, leftOut)) {
    const why = await unfit(qmp, disk, writers.get(disk.node));
    if (why !== undefined) return `${disk.name} ${why} (leave it out by name, if it is not needed)`;
  }
  if (major >= 9) return undefined;
  const threads = await qmp.execute<readonly unknown[]>('query-iothreads');
  if (threads.length === 0) return undefined;
  // A client that goes away while it reads a disk of an I/O thread ends a QEMU before 9.0, and the guest with it.
  return `with I/O threads it takes QEMU 9.0, and this is ${version.text}`;
}

/**
 * Refuses a machine with storage that QEMU holds nothing of: a checkpoint would seem whole without it.
 * Error: MACHINE_HAS_DISKS, naming the devices.
 */
export async function assertHoldsStorage(qmp: QmpClient, signal?: AbortSignal): Promise<void> {
  const held: string[] = [];
  for (const path of ['/machine/peripheral', '/machine/peripheral-anon'])
    for (const { name, type } of await children(qmp, path, signal)) {
      const device = /^child<(.+)>$/.exec(type)?.[1] ?? '';
      if (HELD_BY_OTHERS.test(device)) held.push(path.endsWith('anon') ? device : `${name} (${device})`);
    }
  if (held.length === 0) return;
  throw new FitdocError('MACHINE_HAS_DISKS', `The guest writes to storage of others: ${held.join(', ')}.`, {
    hint: 'Nothing of it is in QEMU, so that no checkpoint can hold it. If you keep it consistent yourself, say so: disks "external".',
    details: { devices: held },
  });
}

async function unfit(
  qmp: QmpClient,
  { device }: FoundDisk,
  writer: string | undefined,
): Promise<string | undefined> {
  const named = await property(qmp, device, 'type');
  const type = typeof named === 'string' ? named : 'unknown';
  if (PASSED_THROUGH.test(type)) return `is a device of the host's, passed through to the guest (${type})`;
  if ((await property(qmp, device, 'share-rw')) === true)
    return 'may be written by others, too (share-rw=on)';
  if (writer !== undefined) return `may be written by others, through the export ${writer}`;
  const owned = await children(qmp, device);
  if (!owned.some(({ name }) => name === 'drive')) return `is of a kind that takes no filter (${type})`;
  return undefined;
}

interface BlockExport {
  readonly id: string;
  readonly type: string;
  readonly 'node-name': string;
}

/**
 * Exports of nodes that others may write to, past whatever stands between a front end and them: QEMU does not say
 * whether they do. Those of its NBD server are another matter, as that cannot be had beside ours.
 */
async function otherWriters(qmp: QmpClient): Promise<Map<string, string>> {
  const exports = await qmp.execute<readonly BlockExport[]>('query-block-exports');
  const found = exports.filter(({ id, type }) => type !== 'nbd' && !isOurs(id));
  return new Map(found.map((each) => [each['node-name'], each.id]));
}

async function children(
  qmp: QmpClient,
  path: string,
  signal?: AbortSignal,
): Promise<readonly { readonly name: string; readonly type: string }[]> {
  return qmp.execute('qom-list', { path }, { signal });
}
