import path from 'node:path';
import type { CheckpointSource } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import { DISK_FORMATS, type DiskFormat } from './qemu-img.js';

/** Where a disk is written, and how. */
export interface DiskPlace {
  readonly disk: string;
  readonly file: string;
  readonly format: DiskFormat;
}

/** Options that say where disks go. */
export interface PlaceOptions {
  /** A folder for all of them. */
  readonly disks?: string;
  /** `NAME=PATH[,format=FORMAT]` for single ones. */
  readonly disk?: readonly string[];
}

/** `vda=/images/vda.qcow2,format=qcow2`. ARGUMENT_INVALID. */
export function diskPlace(text: string): DiskPlace {
  const [, disk, rest] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  const [, file, format = 'raw'] = /^(.*?)(?:,format=([^,]*))?$/.exec(rest ?? '') ?? [];
  if (disk === undefined || file === undefined || file === '')
    throw wrong(`--disk takes NAME=PATH[,format=raw|qcow2], not ${text}.`);
  return { disk, file: path.resolve(file), format: diskFormat(format) };
}

export function diskFormat(text: string): DiskFormat {
  const format = DISK_FORMATS.find((each) => each === text);
  if (format) return format;
  throw wrong(`A disk is written as ${DISK_FORMATS.join(' or ')}, not as ${text}.`);
}

/** Where each disk of a checkpoint goes. ARGUMENT_INVALID where one goes nowhere, is not there, or two go to one file. */
export function placesOf(
  { disks }: CheckpointSource,
  { disks: folder, disk = [] }: PlaceOptions,
): DiskPlace[] {
  if (disks.length === 0) {
    throw wrong(
      'The checkpoint holds no disks.',
      'Disks are captured where the machine was attached with --disks capture.',
    );
  }
  const named = disk.map(diskPlace);
  const there = disks.map(({ name }) => name).join(', ');
  const stranger = named.find((place) => !disks.some(({ name }) => name === place.disk));
  if (stranger) throw wrong(`The checkpoint holds no disk ${stranger.disk}.`, `It holds: ${there}.`);
  const places = disks.flatMap(({ name }): DiskPlace[] => {
    const own = named.filter((place) => place.disk === name);
    if (own.length > 0 || folder === undefined) return own;
    return [{ disk: name, file: path.join(path.resolve(folder), fileName(name)), format: 'raw' }];
  });
  refuseTwins(places);
  return places;
}

/** One would be written over the other. */
function refuseTwins(places: readonly DiskPlace[]): void {
  const twin = places.find(({ file }, index) => places.findIndex((each) => each.file === file) !== index);
  if (twin)
    throw wrong(
      `Two disks would be written to ${twin.file}.`,
      `Name a file for each: --disk ${JSON.stringify(twin.disk)}=FILE`,
    );
  const twice = places.find(({ disk }, index) => places.findIndex((each) => each.disk === disk) !== index);
  if (twice) throw wrong(`The disk ${twice.disk} is named twice.`);
}

/** Names of disks come from the hypervisor, and may be paths of its own. */
function fileName(name: string): string {
  return `${name.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^\.+/, '')}.raw`;
}

function wrong(message: string, hint?: string): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', message, hint === undefined ? {} : { hint });
}
