import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError, isFitdocError, type Json } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { devicePath, type BlockDevice } from './found.js';
import { readGraph } from './graph.js';
import { isOurs, type DiskNames } from './names.js';

/** How often something that is still in use is tried to be removed, and the milliseconds between two tries. */
const TRIES = 200;
const BETWEEN_MS = 10;

/**
 * Removes a part of QEMU's block layer that others may still hold for a moment. What is not there is removed.
 * Throws QEMU's refusal when it goes on.
 */
export async function remove(
  qmp: QmpClient,
  command: string,
  args: Readonly<Record<string, Json>>,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await qmp.execute(command, args);
      return;
    } catch (error) {
      if (qmp.closed.aborted) throw error;
      if (/not found|Cannot find|Failed to find/i.test(String(error))) return;
      // What QEMU refuses now it may do in a moment; a QEMU that does not answer is not asked for hours.
      if (tries === TRIES || !isRefusal(error)) throw error;
    }
    await sleep(BETWEEN_MS);
  }
}

function isRefusal(error: unknown): boolean {
  return isFitdocError(error, 'PROTOCOL_ERROR') && error.details['description'] !== undefined;
}

/**
 * Ends an export and waits until it is gone: what it reads from cannot be removed before. PROTOCOL_ERROR, with QEMU's
 * refusal as its cause if there was one: it stays.
 */
export async function removeExport(qmp: QmpClient, id: string): Promise<void> {
  let refusal: unknown;
  let asked = false;
  for (let tries = 0; tries < TRIES; tries++) {
    const exports = await qmp.execute<readonly { id: string }[]>('query-block-exports');
    if (!exports.some((each) => each.id === id)) return;
    // One that QEMU has begun to end is only waited for; what it refuses now it may do in a moment.
    if (!asked || refusal !== undefined) refusal = await refusalOf(qmp, id);
    asked = true;
    await sleep(BETWEEN_MS);
  }
  const words = refusal instanceof Error ? ` ${refusal.message}` : '';
  throw new FitdocError('PROTOCOL_ERROR', `QEMU does not end the export ${id}.${words}`, {
    cause: refusal,
    hint: `It may wait for the host's disks; "block-export-del" ends it by hand.`,
    retryable: true,
    details: { export: id },
  });
}

async function refusalOf(qmp: QmpClient, id: string): Promise<unknown> {
  try {
    await qmp.execute('block-export-del', { id, mode: 'hard' });
    return undefined;
  } catch (error) {
    if (qmp.closed.aborted || !isRefusal(error)) throw error;
    return error;
  }
}

/**
 * Puts the guest's disks back where one of these filters stands before them: on what stands below it now. Only there:
 * QEMU aborts when a drive is set to the node that it has. `behind`: nodes by filter, for a QEMU that does not tell.
 */
export async function putBack(
  qmp: QmpClient,
  filters: readonly string[],
  behind: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  if (filters.length === 0) return;
  const graph = await readGraph(qmp);
  for (const { qdev, inserted } of await qmp.execute<readonly BlockDevice[]>('query-block')) {
    const filter = filters.find((name) => name === inserted?.['node-name']);
    const value = filter && (graph.fileOf(filter) ?? behind.get(filter));
    if (qdev === undefined || value === undefined) continue;
    await qmp.execute('qom-set', { path: devicePath(qdev), property: 'drive', value });
  }
}

/**
 * Removes a filter that stands before no disk, and what is below it. Gives the node that somebody has put on it, as a
 * snapshot by others does: then it stays, with what it needs, and does no more than hand on what is read.
 */
export async function removeFilter(
  qmp: QmpClient,
  { filter, fleece, fleeceFile }: Pick<DiskNames, 'filter' | 'fleece' | 'fleeceFile'>,
): Promise<string | undefined> {
  const [held] = (await readGraph(qmp)).above(filter).filter((name) => !isOurs(name));
  if (held !== undefined) return held;
  for (const name of [filter, fleece, fleeceFile]) await remove(qmp, 'blockdev-del', { 'node-name': name });
  return undefined;
}
