import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  FitdocError,
  isFitdocError,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import { restoreToFile } from '@fitdoc/qemu';
import { parseDomainLocation } from '../connection/location.js';
import type { DomainRecord } from '../helper/commands.js';
import { ask } from '../host/ask.js';
import { checkTarget, type Planned } from './check.js';
import { DomainXml } from './domain-xml.js';
import { readRestoreConfig, type LibvirtRestoreConfig } from './options.js';
import { readRecord } from './record.js';
import { saveImageHead } from './save-image.js';

const FILE = 'file:';

/**
 * Brings a domain back by a save image and `virDomainRestore`, or, to `file:PATH`, writes that image for
 * "virsh restore". See `Hypervisor.restore`.
 */
export async function restore(
  location: string,
  source: RestoreSource,
  options: RestoreOptions = {},
): Promise<RestoreReport> {
  const config = readRestoreConfig(options.config);
  const record = readRecord(source);
  if (location.startsWith(FILE)) return writeImage(location.slice(FILE.length), source, record, options);
  const planned = plan(location, record, config);
  const notes = await checkTarget(planned, options.signal);
  const paused = config.paused ?? planned.clone;
  const folder = await mkdtemp(join(config.imageDirectory ?? tmpdir(), 'fitdoc-restore-'));
  try {
    const path = join(folder, 'image');
    const head = headOf(planned.xml, record, !paused);
    const { pages } = await restoreToFile(path, source, options, head);
    await ask(planned.uri, 'restore', { path, paused }).catch((error: unknown) => {
      throw failed(planned.name, error);
    });
    return { state: paused ? 'paused' : 'running', pages, notes: [...notes, ...notesOf(planned, paused)] };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeImage(
  path: string,
  source: RestoreSource,
  record: DomainRecord,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const xml = new DomainXml(record.migratableXml);
  const { pages } = await restoreToFile(path, source, options, headOf(xml, record, true));
  const disks = xml.disks.filter(({ own }) => own).map(({ source: file }) => file);
  return {
    state: 'written',
    pages,
    notes: [
      `Bring ${record.name} back with: virsh restore ${path} (--paused leaves it paused; a QEMU that takes no migration from a file wants --bypass-cache).`,
      'The image holds the XML of the domain, its passwords included.',
      ...(disks.length > 0 ? [`Its disks must be as they were at that moment: ${disks.join(', ')}.`] : []),
    ],
  };
}

function headOf(xml: DomainXml, { xml: live }: DomainRecord, running: boolean): Buffer {
  // The CPU as it was, spelled out: the definition may say "host-model", which is another one on another host.
  return saveImageHead({ xml: xml.toString(), cpu: new DomainXml(live).cpu, running });
}

/** The domain as it was, or a clone where the name is another. Errors: LOCATION_INVALID, MACHINE_CONFLICT. */
function plan(location: string, record: DomainRecord, config: LibvirtRestoreConfig): Planned {
  const { uri, domain } = parseDomainLocation(location);
  const xml = new DomainXml(record.migratableXml);
  const clone = domain !== record.name && domain !== record.uuid;
  const name = clone ? domain : record.name;
  const uuid = clone ? (config.uuid ?? randomUUID()) : record.uuid;
  if (clone) {
    refuseSharedFiles(xml, config, record.name);
    xml.becomeClone({ name, uuid });
  } else if (config.uuid !== undefined && config.uuid !== record.uuid)
    throw new FitdocError('ARGUMENT_INVALID', `The domain ${name} itself has the UUID ${record.uuid}.`, {
      hint: 'Only a clone, under another name, gets another.',
    });
  xml.replaceDisks(config.disks);
  if (config.nvram !== undefined) xml.replaceNvram(config.nvram);
  return { uri, name, uuid, clone, xml };
}

/** Two guests that write to the same disk destroy it. */
function refuseSharedFiles(xml: DomainXml, { disks, nvram }: LibvirtRestoreConfig, original: string): void {
  const shared = xml.disks.filter(({ own, target }) => own && !disks.has(target));
  const settings = shared.map(({ target }) => `--set disk-${target}=FILE`);
  if (xml.nvram !== undefined && nvram === undefined) settings.push('--set nvram=FILE');
  if (settings.length === 0) return;
  throw new FitdocError(
    'MACHINE_CONFLICT',
    `A clone would write to files of ${original}: ${[...shared.map(({ source }) => source), ...(nvram === undefined && xml.nvram !== undefined ? [xml.nvram] : [])].join(', ')}.`,
    {
      hint: `Copy them as they were at that moment, and name the copies: ${settings.join(' ')}`,
      details: { disks: shared.map(({ target }) => target) },
    },
  );
}

function notesOf({ clone, xml, name }: Planned, paused: boolean): string[] {
  const disks = xml.disks.filter(({ own }) => own).map(({ source }) => source);
  return [
    ...(paused ? [`Let it run: virsh resume ${name}`] : []),
    ...(disks.length > 0 ? [`Its disks must be as they were at that moment: ${disks.join(', ')}.`] : []),
    "The guest's clock stands at the checkpoint's moment: set it, or let its time service do so.",
    ...(clone
      ? [
          'Inside, it takes itself for the original: host name, keys, and the hardware addresses it has in memory are the same.',
        ]
      : []),
  ];
}

function failed(name: string, error: unknown): unknown {
  if (!isFitdocError(error, 'PROTOCOL_ERROR')) return error;
  const { description } = error.details;
  const words = typeof description === 'string' ? description : error.message;
  return new FitdocError('RESTORE_FAILED', `libvirt could not bring ${name} back: ${words}`, {
    cause: error,
    hint: `Nothing of it is left; /var/log/libvirt/qemu/${name}.log has QEMU's own words.`,
  });
}
