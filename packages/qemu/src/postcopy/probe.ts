import { isFitdocError, PAGE_SIZE, type RestoreSource } from '@fitdoc/interface';
import { property } from '../machine/devices.js';
import { DEVICES_STATE } from '../machine/state-names.js';
import type { QmpClient } from '../qmp/client.js';
import {
  readSettings,
  restoreCapabilities,
  setCapabilities,
  unsetCapabilities,
  type MigrationSettings,
} from '../session/settings.js';
import { runStateIn } from '../stream/global-state.js';
import { part } from '../stream/write.js';
import type { Block } from './messages.js';

/** The capability that lets a guest run before its memory is there. */
export const POSTCOPY = 'postcopy-ram';

/** Whether a waiting QEMU can be given its memory while it runs: its blocks, and how it is set; or why it cannot. */
export type Probed = (Probing & { readonly settings: MigrationSettings }) | Refusal;

interface Probing {
  readonly blocks: readonly Block[];
}

interface Refusal {
  readonly reason: string;
}

/**
 * Looks at everything that such a restore needs. It changes nothing: where it says no, the QEMU still waits, as it
 * was, for a full restore.
 */
export async function probe(qmp: QmpClient, source: RestoreSource, signal?: AbortSignal): Promise<Probed> {
  const state = runStateIn(part(source, DEVICES_STATE)) ?? 'running';
  // Of a postcopy QEMU lets every guest run.
  if (state !== 'running') return { reason: `the guest stood when it was captured ("${state}")` };
  const [file, probed] = await Promise.all([fileBacked(qmp, signal), probeBlocks(qmp, source, signal)]);
  // QEMU 7.2 empties the file before it finds that it cannot watch it.
  if (file !== undefined) return { reason: `its memory is in a file (${file})` };
  if ('reason' in probed) return probed;
  const settings = await readSettings(qmp, signal);
  const refusal = await refused(qmp, settings);
  return refusal === undefined ? { ...probed, settings } : { reason: `QEMU says: ${refusal}` };
}

/** The part of it that holds for a guest that runs already, too. */
export async function probeBlocks(
  qmp: QmpClient,
  source: RestoreSource,
  signal?: AbortSignal,
): Promise<Probing | Refusal> {
  if (source.random === undefined) return { reason: 'the checkpoint cannot be read in any order' };
  if (!qmp.outOfBand) return { reason: 'this QEMU takes no commands out of band' };
  const blocks = blocksOf(source, await pageSizes(qmp, signal));
  return typeof blocks === 'string' ? { reason: blocks } : { blocks };
}

/** For when whoever turned it on has ended, and nothing tells how it was before. */
export async function turnOffPostcopy(qmp: QmpClient): Promise<void> {
  await qmp.execute('migrate-set-capabilities', { capabilities: [{ capability: POSTCOPY, state: false }] });
}

/** A file that holds guest memory, which may not be empty; undefined where there is none. */
export async function fileBacked(qmp: QmpClient, signal?: AbortSignal): Promise<string | undefined> {
  const objects = await qmp.execute<readonly { name: string; type: string }[]>(
    'qom-list',
    { path: '/objects' },
    { signal },
  );
  for (const { name, type } of objects) {
    if (!type.startsWith('child<')) continue;
    const path = await property(qmp, `/objects/${name}`, 'mem-path', signal);
    if (typeof path === 'string' && path !== '') return path;
  }
  return undefined;
}

/** Bytes of the host pages behind each RAM block. */
async function pageSizes(qmp: QmpClient, signal?: AbortSignal): Promise<ReadonlyMap<string, number>> {
  const told = await qmp
    .execute<{ 'human-readable-text': string }>('x-query-ramblock', {}, { signal })
    .catch(() => ({ 'human-readable-text': '' }));
  return parsePageSizes(told['human-readable-text']);
}

const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1 << 10, MiB: 1 << 20, GiB: 1 << 30 };

/** Reads QEMU's table of RAM blocks: a name, and the size of its pages as a number and a unit. */
export function parsePageSizes(text: string): Map<string, number> {
  const line = /^\s*(\S+)\s+(\d+) (\w+)\s+0x[0-9a-f]+\s+0x[0-9a-f]+\s+0x[0-9a-f]+/gm;
  const sizes = new Map<string, number>();
  for (const [, name, number, unit] of text.matchAll(line)) {
    const bytes = Number(number) * (UNITS[unit!] ?? Number.NaN);
    if (Number.isInteger(bytes)) sizes.set(name!, bytes);
  }
  return sizes;
}

function blocksOf({ info }: RestoreSource, sizes: ReadonlyMap<string, number>): Block[] | string {
  const blocks: Block[] = [];
  for (const { name, firstGfn, pages } of info.regions) {
    const pageSize = sizes.get(name);
    if (pageSize === undefined) return `it does not tell the size of the pages behind ${name}`;
    const fits = pageSize >= PAGE_SIZE && pageSize % PAGE_SIZE === 0 && (pages * PAGE_SIZE) % pageSize === 0;
    if (!fits) return `${name} does not consist of whole pages of ${pageSize} bytes`;
    blocks.push({ name, firstGfn, pages, pageSize });
  }
  return blocks;
}

/** Asks QEMU itself, which tries what it needs of the host (userfaultfd), and gives its reason if it cannot. */
async function refused(qmp: QmpClient, settings: MigrationSettings): Promise<string | undefined> {
  if (!settings.capabilities.some(({ capability }) => capability === POSTCOPY))
    return `it has no ${POSTCOPY}`;
  try {
    await setCapabilities(qmp, settings.capabilities, [POSTCOPY]);
  } catch (error) {
    await restoreCapabilities(qmp, settings.capabilities);
    if (!isFitdocError(error, 'PROTOCOL_ERROR')) throw error;
    const { description } = error.details;
    return typeof description === 'string' ? description : error.message;
  }
  await unsetCapabilities(qmp, settings.capabilities, [POSTCOPY]);
  return undefined;
}
