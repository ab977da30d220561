import {
  FitdocError,
  PAGE_SIZE,
  throwIfAborted,
  type PageExtent,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import { addToSum, checksumText, hashPage, type Checksum } from './checksum.js';
import { Devices } from './device-state.js';
import { MACHINE_TYPE } from './machine-info.js';
import { MachineFileWriter } from './machine-file.js';
import { MockGuest } from './mock-guest.js';
import { regionsOf, type Shape } from './shape.js';
import type { Settings } from './settings.js';

/** What must be told of a restore's target before a page is read. */
export interface Expected {
  /** The settings that the location or the options ask for; the checkpoint's machine must have them. */
  readonly settings: Settings;
  /** The machine that is replaced, if there is one. */
  readonly existing?: MockGuest | undefined;
}

/** Checks that a checkpoint can be restored there, and gives its devices. Errors: MACHINE_INCOMPATIBLE. */
export function checkSource(source: RestoreSource, expected: Expected): Devices {
  const { info } = source;
  const differences: string[] = [];
  const compare = (what: string, found: unknown, wanted: unknown) => {
    if (found !== wanted) differences.push(`${what} is ${String(found)}, not ${String(wanted)}`);
  };
  compare('the scheme', info.scheme, 'mock');
  compare('the machine type', JSON.stringify(info.platform['machine']), JSON.stringify(MACHINE_TYPE));
  refuseDifferences(differences);
  const devices = Devices.load(source.deviceState);
  const { shape } = devices.board;
  compareRegions(info.regions, regionsOf(shape), compare);
  for (const [name, wanted] of Object.entries(expected.settings)) {
    if (name in shape) compare(name, shape[name as keyof Shape], wanted);
  }
  if (expected.existing) compareRegions(info.regions, expected.existing.regions, compare);
  refuseDifferences(differences);
  return devices;
}

/** Makes a machine of the checkpoint in this process. */
export async function restoreGuest(
  name: string,
  source: RestoreSource,
  options: RestoreOptions & { readonly proof: boolean },
): Promise<{ guest: MockGuest; report: RestoreReport }> {
  const guest = MockGuest.blank(name, name, source.deviceState);
  const { pages, note } = await consume(source, options, async ({ gfn, bytes }) => {
    for (let offset = 0; offset < bytes.length; offset += PAGE_SIZE) {
      guest.memory.writePage(gfn + offset / PAGE_SIZE, bytes.subarray(offset, offset + PAGE_SIZE));
    }
  });
  guest.filled();
  await fillDisks(guest, source, options);
  return { guest, report: { state: 'running', pages, notes: [note] } };
}

async function fillDisks(guest: MockGuest, source: RestoreSource, { signal }: RestoreOptions): Promise<void> {
  for (const disk of source.disks ?? []) {
    const target = guest.disks.find(({ name }) => name === disk.name);
    if (!target) continue;
    target.resize(disk.sizeBytes);
    for await (const { offset, bytes } of disk.read(signal ? { signal } : {})) target.write(offset, bytes);
    target.takeDirty();
  }
}

/** Writes the checkpoint's machine to PATH and PATH.state, holding an extent at a time. */
export async function restoreFile(
  file: string,
  source: RestoreSource,
  devices: Devices,
  options: RestoreOptions & { readonly proof: boolean },
): Promise<RestoreReport> {
  const total = regionsOf(devices.board.shape).reduce((sum, { pages }) => sum + pages, 0);
  const writer = await MachineFileWriter.create(file, total, options.replace);
  try {
    const { pages, note } = await consume(source, options, ({ gfn, bytes }) => writer.write(gfn, bytes));
    await writer.finish(source.info, total, source.deviceState);
    return { state: 'written', pages, notes: [note] };
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

async function consume(
  source: RestoreSource,
  options: RestoreOptions & { readonly proof: boolean },
  write: (extent: PageExtent) => Promise<void>,
): Promise<{ pages: number; note: string }> {
  const { signal, onProgress, proof } = options;
  const sum: Checksum = { low: 0, high: 0 };
  let pages = 0;
  for await (const extent of source.pages(signal ? { signal } : {})) {
    throwIfAborted(signal);
    if (proof) addExtent(sum, extent);
    await write(extent);
    pages += extent.bytes.length / PAGE_SIZE;
    onProgress?.({ phase: 'restoring pages', done: pages, unit: 'pages' });
  }
  if (!proof) return { pages, note: 'The checksum of the guest was not compared, as asked.' };
  const carried = checksumText(Devices.load(source.deviceState).savedSum);
  const found = checksumText(sum);
  if (carried !== found) {
    throw new FitdocError(
      'RESTORE_FAILED',
      `The restored memory has the checksum ${found}, not ${carried}.`,
      {
        hint: 'The checkpoint does not hold what the guest had: verify it with its data.',
      },
    );
  }
  return { pages, note: `The guest's own checksum of its memory is right: ${carried}.` };
}

function addExtent(sum: Checksum, { gfn, bytes }: PageExtent): void {
  const part: Checksum = { low: 0, high: 0 };
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  for (let offset = 0; offset < aligned.length; offset += PAGE_SIZE) {
    hashPage(new Uint32Array(aligned.buffer, aligned.byteOffset + offset, PAGE_SIZE / 4), part);
    addToSum(sum, gfn + offset / PAGE_SIZE, part);
  }
}

type Regions = MockGuest['regions'];

function compareRegions(
  found: Regions,
  wanted: Regions,
  compare: (what: string, found: unknown, wanted: unknown) => void,
): void {
  const text = (regions: Regions) => regions.map(({ name, pages }) => `${name}:${pages}`).join(' ');
  compare('the memory', text(found), text(wanted));
}

function refuseDifferences(differences: readonly string[]): void {
  if (differences.length === 0) return;
  throw new FitdocError('MACHINE_INCOMPATIBLE', `The checkpoint does not fit: ${differences.join('; ')}.`, {
    hint: 'Restore to a mock machine of another name, without parameters: it takes the shape of the checkpoint.',
    details: { differences },
  });
}
