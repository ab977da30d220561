import { FitdocError, type DiskInfo, type Json } from '@fitdoc/interface';
import type { MemoryShape } from './pfn-space.js';

/** What a domain's libxl configuration says, as far as fitdoc needs it. */
export interface GuestConfig extends MemoryShape {
  /** Memory of the emulated screen, KiB; 0 without one. */
  readonly videoKiB: number;
  readonly name: string;
  readonly uuid: string;
  readonly vcpus: number;
  /** Its target, that of a screen included. */
  readonly memoryKiB: number;
  readonly disks: readonly DiskInfo[];
  readonly nics: number;
  /** An HVM guest's device model is a plain QEMU of dom0: none in a domain of its own, none without its rights. */
  readonly plainDeviceModel: boolean;
  /** Addresses of the host's PCI devices that it has for itself. */
  readonly passedThrough: readonly string[];
  readonly text: string;
}

type JsonObject = { readonly [key: string]: Json | undefined };

function object(value: Json | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

function text(value: Json | undefined, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

function disk(value: Json): DiskInfo {
  const fields = object(value);
  const source = fields.pdev_path;
  const format = fields.format;
  return {
    name: text(fields.vdev, 'disk'),
    writable: fields.readwrite === true || Number(fields.readwrite ?? 0) !== 0,
    ...(typeof source === 'string' && { source }),
    ...(typeof format === 'string' && { format }),
  };
}

function pciAddress(value: Json): string {
  const fields = object(value);
  const [domain = '', bus = '', device = ''] = (
    [
      ['domain', 4],
      ['bus', 2],
      ['dev', 2],
    ] as const
  ).map(([name, digits]) =>
    Number(fields[name] ?? 0)
      .toString(16)
      .padStart(digits, '0'),
  );
  return `${domain}:${bus}:${device}.${Number(fields.func ?? 0)}`;
}

function guestType(value: Json | undefined): GuestConfig['guestType'] {
  if (value === 'pv' || value === 'pvh' || value === 'hvm') return value;
  throw new FitdocError('PROTOCOL_ERROR', `libxl tells the guest type ${JSON.stringify(value)}.`, {
    hint: 'Supported are domains of type pv, pvh and hvm.',
  });
}

/**
 * Reads libxl's JSON form of a domain's configuration, as `xl list -l` prints it and the xl header holds it.
 * Errors: PROTOCOL_ERROR.
 */
export function parseGuestConfig(json: string): GuestConfig {
  let root: JsonObject;
  try {
    root = object(JSON.parse(json) as Json);
  } catch (cause) {
    throw new FitdocError('PROTOCOL_ERROR', "The domain's libxl configuration is not JSON.", {
      cause,
      hint: 'Check that `xl list -l` works on the host.',
    });
  }
  const create = object(root.c_info);
  const build = object(root.b_info);
  const maxMemoryKiB = Number(build.max_memkb);
  if (!(maxMemoryKiB > 0)) {
    throw new FitdocError('PROTOCOL_ERROR', "The domain's configuration does not tell its memory.");
  }
  return {
    name: text(create.name, ''),
    uuid: text(create.uuid, ''),
    guestType: guestType(create.type),
    maxMemoryKiB,
    videoKiB: Number(build.video_memkb ?? 0),
    plainDeviceModel:
      build.device_model_stubdomain !== 'True' &&
      build.dm_restrict !== 'True' &&
      [undefined, 'qemu_xen'].includes(build.device_model_version as string | undefined),
    memoryKiB: Number(build.target_memkb ?? maxMemoryKiB),
    vcpus: Number(build.max_vcpus ?? 1),
    disks: list(root.disks).map(disk),
    nics: list(root.nics).length,
    passedThrough: list(root.pcidevs).map(pciAddress),
    text: json,
  };
}

/** What may differ between a captured domain and the one that a restore makes of it. */
export interface ConfigChanges {
  readonly name?: string;
  readonly uuid?: string;
  /** How much memory the domain's balloon is to leave it, that of its screen included; KiB. */
  readonly targetKiB?: number;
}

/** The configuration with changes; the very same text without any. */
export function changeConfig(text: string, { targetKiB, ...create }: ConfigChanges): string {
  if (targetKiB === undefined && Object.keys(create).length === 0) return text;
  const root = JSON.parse(text) as Record<string, Json>;
  root.c_info = { ...(root.c_info as Record<string, Json>), ...create };
  if (targetKiB !== undefined) {
    root.b_info = { ...(root.b_info as Record<string, Json>), target_memkb: targetKiB };
  }
  return JSON.stringify(root, null, 4);
}
