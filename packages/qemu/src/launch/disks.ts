import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { FitdocError, type DiskImage, type DiskInfo } from '@fitdoc/interface';
import type { Argument } from './arguments.js';
import { OptionList } from './option-list.js';
import { makeOverlay } from './overlay.js';

export interface DiskPlan {
  readonly disks: readonly DiskInfo[];
  readonly images: readonly DiskImage[];
  /** Whether nothing is written to what the command names. */
  readonly overlays: boolean;
  readonly directory: string;
  /** What relative paths are meant from. */
  readonly from: string;
}

const SHORT: Readonly<Record<string, string>> = {
  hda: 'index=0,media=disk',
  hdb: 'index=1,media=disk',
  hdc: 'index=2,media=disk',
  hdd: 'index=3,media=disk',
  '': 'index=0,media=disk',
  fda: 'if=floppy,index=0',
  fdb: 'if=floppy,index=1',
  pflash: 'if=pflash,format=raw',
  sd: 'if=sd',
};

/** The disks of a command on other images, or on overlays of theirs. */
export async function placeDisks(list: readonly Argument[], plan: DiskPlan): Promise<Argument[]> {
  if (!plan.overlays && plan.images.length === 0) return [...list];
  const used = new Set(list.flatMap(({ name, value = '' }) => nodeUsed(name, value) ?? []));
  const placed: Argument[] = [];
  for (const argument of list) {
    const { name, value = '' } = argument;
    const short = SHORT[name];
    if (name === 'drive') placed.push({ name, value: await placeDrive(OptionList.parse(value), plan) });
    else if (short !== undefined)
      placed.push({
        name: 'drive',
        value: await placeDrive(OptionList.parse(short).set('file', value), plan),
      });
    else if (name === 'blockdev') placed.push(...(await placeNode(OptionList.parse(value), plan, used)));
    else if (name !== 'snapshot') placed.push(argument);
  }
  return placed;
}

function nodeUsed(name: string, value: string): string | undefined {
  return name === 'device' ? OptionList.parse(value).get('drive') : undefined;
}

async function placeDrive(drive: OptionList, plan: DiskPlan): Promise<string> {
  const own = drive.get('file') ?? drive.get('file.filename');
  if (own === undefined || own === '') return drive.toString();
  const known = diskOf(plan, own, drive.get('id'));
  const image = known && plan.images.find(({ disk }) => disk === known.name);
  const readOnly = isOn(drive.get('readonly') ?? drive.get('read-only')) || drive.get('media') === 'cdrom';
  if (!image && (!plan.overlays || readOnly)) return drive.toString();
  const format = image?.format ?? drive.get('format') ?? drive.get('driver') ?? known?.format;
  const file = image?.file ?? own;
  // Which caches an image can be opened with depends on where it lies.
  drive.deleteBelow('file', 'format', 'driver', 'cache', 'aio', 'backing', 'snapshot');
  if (!plan.overlays)
    return drive
      .set('file', file)
      .set('format', format ?? 'raw')
      .toString();
  drive.set('file', await overlayOf(file, known, format, plan)).set('format', 'qcow2');
  if (format !== undefined) drive.set('backing.driver', format);
  drive.set('backing.file.filename', file);
  // The original, which may run, keeps others from opening what it writes; nothing is written there from here.
  if (isPath(file)) drive.set('backing.file.driver', 'file').set('backing.file.locking', 'off');
  return drive.toString();
}

/**
 * A node of a graph. What a device uses gets an overlay of its name over it; everything below is read only, whoever else
 * has it.
 */
async function placeNode(node: OptionList, plan: DiskPlan, used: ReadonlySet<string>): Promise<Argument[]> {
  const name = node.get('node-name') ?? '';
  const file = node.get('filename') ?? node.get('file.filename');
  const named = plan.disks.find((disk) => disk.name === name);
  const known = named ?? (file === undefined ? undefined : diskOf(plan, file, undefined));
  const image = known && plan.images.find(({ disk }) => disk === known.name);
  if (image && used.has(name)) {
    const made = OptionList.parse(`driver=${image.format},file.driver=file`).set('file.filename', image.file);
    return overPlan(made.set('node-name', name), plan, known);
  }
  const wasReadOnly = isOn(node.get('read-only'));
  if (plan.overlays) node.delete('auto-read-only').set('read-only', true).set('force-share', true);
  if (!used.has(name) || wasReadOnly) return [{ name: 'blockdev', value: node.toString() }];
  return overPlan(node, plan, known);
}

/** A node, under an overlay of its name where that is planned. */
async function overPlan(node: OptionList, plan: DiskPlan, known: DiskInfo | undefined): Promise<Argument[]> {
  if (!plan.overlays) return [{ name: 'blockdev', value: node.toString() }];
  const name = node.get('node-name') ?? '';
  const file = node.get('file.filename') ?? node.get('filename') ?? known?.source ?? name;
  const overlay = await overlayOf(file, known, node.get('driver'), plan);
  const over = OptionList.parse('driver=qcow2,file.driver=file').set('node-name', name);
  over.set('file.filename', overlay).set('backing', `${name}-below`);
  node.set('read-only', true).set('node-name', `${name}-below`);
  return [node, over].map((each) => ({ name: 'blockdev', value: each.toString() }));
}

let overlays = 0;

async function overlayOf(
  file: string,
  known: DiskInfo | undefined,
  format: string | undefined,
  { directory, from }: DiskPlan,
): Promise<string> {
  const ofFile = async (): Promise<number | undefined> =>
    format === 'raw' ? (await stat(resolve(from, file)).catch(() => undefined))?.size : undefined;
  const size = known?.sizeBytes ?? (await ofFile());
  if (size === undefined)
    throw new FitdocError('ARGUMENT_INVALID', `How large the disk ${file} is cannot be told.`, {
      hint: 'The checkpoint does not know it. Give the disk an image of its own, behind --.',
    });
  const overlay = join(directory, `overlay-${overlays++}.qcow2`);
  await makeOverlay(overlay, size);
  return overlay;
}

function diskOf({ disks, from }: DiskPlan, file: string, id: string | undefined): DiskInfo | undefined {
  const path = resolve(from, file);
  return (
    disks.find(({ name }) => name === id) ??
    disks.find(({ source }) => source !== undefined && resolve(from, source) === path)
  );
}

function isPath(file: string): boolean {
  return !/^[a-z+-]+:/.test(file);
}

function isOn(value: string | undefined): boolean {
  return value === 'on' || value === 'true' || value === 'yes';
}
