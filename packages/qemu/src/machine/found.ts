import { FitdocError, type CaptureWay, type DiskInfo, type FoundMachine } from '@fitdoc/interface';
import { diskObstacle } from '../disks/obstacle.js';
import type { Connected } from '../qmp/client.js';
import { coloIsSafe } from '../session/mode.js';
import { isMigrating } from '../session/release.js';
import { readDrives } from './disks.js';
import { notRunning } from './run-state.js';

/** What a QEMU tells of its guest, without a way to it. */
export type FoundGuest = Omit<FoundMachine, 'location' | 'elsewhere' | 'name'> & {
  readonly name: string | undefined;
};

interface Answers {
  readonly state: string;
  readonly migration: string | undefined;
  /** What keeps it from being migrated at all, in QEMU's words. */
  readonly blocked: readonly string[];
}

/** Asks a QEMU what its guest is and what a checkpoint of it would take. Only questions are asked. */
export async function findGuest({ client, version }: Connected, signal?: AbortSignal): Promise<FoundGuest> {
  const ask = <Result>(command: string): Promise<Result> => client.execute<Result>(command, {}, { signal });
  const { status: state } = await ask<{ status: string }>('query-status');
  const { name } = await ask<{ name?: string }>('query-name');
  const { UUID: uuid } = await ask<{ UUID: string }>('query-uuid');
  const memory = await ask<{ 'base-memory': number }>('query-memory-size-summary');
  const migration = await ask<{ status?: string; 'blocked-reasons'?: readonly string[] }>('query-migrate');
  const { disks } = await readDrives(client, signal);
  const ways = await waysOf({ client, version }, signal);
  const known = await ask<readonly { capability: string }[]>('query-migrate-capabilities');
  const obstacle = hasColo(known) ? await diskObstacle(client, version) : 'they are captured by way of COLO';
  const refused = obstacleOf({
    state,
    migration: migration.status,
    blocked: migration['blocked-reasons'] ?? [],
  });
  return {
    ...(/^[0-]*$/.test(uuid) ? {} : { id: uuid }),
    ...{ name, state, memoryBytes: memory['base-memory'], disks, ways },
    ...disksNeed(disks, obstacle),
    ...(refused && {
      refused: { code: refused.code, message: refused.message, ...(refused.hint && { hint: refused.hint }) },
    }),
  };
}

async function waysOf(
  { client, version }: Connected,
  signal: AbortSignal | undefined,
): Promise<CaptureWay[]> {
  const ask = <Result>(command: string): Promise<Result> => client.execute<Result>(command, {}, { signal });
  const { enabled } = await ask<{ enabled: boolean }>('query-kvm');
  const backends = await ask<readonly unknown[]>('query-memdev');
  const known = await ask<readonly { capability: string }[]>('query-migrate-capabilities');
  const refused = hasColo(known)
    ? coloIsSafe(enabled ? 'kvm' : 'tcg', version, backends.length)
      ? undefined
      : `The guest is emulated, and with COLO QEMU ${version.text} would put it at risk.`
    : 'This QEMU was built without replication support.';
  return [
    { name: 'colo', increments: true, ...(refused !== undefined && { refused }) },
    { name: 'precopy', increments: false },
  ];
}

function hasColo(known: readonly { capability: string }[]): boolean {
  return known.some(({ capability }) => capability === 'x-colo');
}

function disksNeed(
  disks: readonly DiskInfo[],
  obstacle: string | undefined,
): Pick<FoundMachine, 'needs' | 'externalDisks'> {
  const writable = disks.filter((disk) => disk.writable).map(({ name }) => name);
  if (writable.length === 0 || obstacle === undefined) return { needs: [] };
  const need = `Its disks (${writable.join(', ')}) are yours to keep consistent: ${obstacle}.`;
  return { needs: [need], externalDisks: true };
}

function obstacleOf({ state, blocked, migration }: Answers): FitdocError | undefined {
  if (migration !== undefined && isMigrating({ guest: state, migration, errorText: undefined }))
    return new FitdocError(
      'MACHINE_BUSY',
      `The guest is being migrated, saved or protected (${migration}).`,
      {
        hint: 'Wait for its end ("query-migrate").',
      },
    );
  if (state !== 'running') return notRunning(state);
  if (blocked.length === 0) return undefined;
  return new FitdocError('CAPABILITY_MISSING', `The guest cannot be captured: ${blocked.join(' ')}`, {
    hint: 'Start it without that device, or take the device away.',
  });
}
