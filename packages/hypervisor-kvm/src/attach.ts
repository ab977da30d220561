import {
  FitdocError,
  type AttachOptions,
  type DiskInfo,
  type Machine,
  type MachineSupports,
} from '@fitdoc/interface';
import { readConfig, type KvmConfig } from './config.js';
import { guard } from './guard/guard.js';
import { describe, type Description } from './machine/describe.js';
import { readDisks } from './machine/disks.js';
import { machineInfo } from './machine/info.js';
import { KvmMachine } from './machine/machine.js';
import { QmpClient, type QemuVersion } from './qmp/client.js';
import { PauseWatch } from './session/pause.js';
import { isMigrating, migrationState, release } from './session/release.js';
import { Session } from './session/session.js';
import type { StreamHeader } from './stream/sections.js';
import {
  readSettings,
  restoreSettings,
  setCapabilities,
  setParameters,
  type MigrationSettings,
} from './session/settings.js';

/** Attaches to the QEMU whose QMP socket is at `location`; see the Hypervisor port. */
export async function attach(location: string, options: AttachOptions = {}): Promise<Machine> {
  if (location === '' || location.startsWith('file:')) throw notASocket(location);
  const { signal } = options;
  const config = readConfig(options.config);
  const { client, version } = await QmpClient.connect(location, { signal, timeoutMs: config.timeoutMs });
  try {
    await makeReady(client, signal);
    const disks = await allowedDisks(client, options);
    return await protect(client, version, location, config, disks, options);
  } catch (error) {
    client.close();
    throw error;
  }
}

/** Sees that the guest runs and that no one migrates it; frees one that an earlier attachment left standing. */
async function makeReady(qmp: QmpClient, signal: AbortSignal | undefined): Promise<void> {
  const state = await migrationState(qmp, signal);
  if (state.guest === 'colo' || state.migration === 'colo') await release(qmp);
  const { guest, migration } = await migrationState(qmp, signal);
  if (isMigrating({ guest, migration, errorText: undefined })) throw migrating(migration ?? '');
  if (guest === 'inmigrate') throw waiting();
  if (guest === 'postmigrate') throw movedAway();
  if (guest !== 'running') {
    throw new FitdocError('MACHINE_PAUSED', `The guest does not run (${guest}).`, {
      hint: 'Send "cont" to QEMU first: taking checkpoints would resume it.',
    });
  }
  // Nothing is left to end; this only waits until QEMU has cleaned up after an earlier migration.
  await release(qmp);
}

async function allowedDisks(qmp: QmpClient, { disks, signal }: AttachOptions): Promise<DiskInfo[]> {
  const found = await readDisks(qmp, signal);
  const writable = found
    .filter((disk) => disk.writable)
    .map(({ name, source }) => `${name} (${source ?? 'no file'})`);
  if (writable.length === 0 || disks === 'external') return found;
  throw new FitdocError('MACHINE_HAS_DISKS', `The guest writes to disks: ${writable.join(', ')}.`, {
    hint: 'A checkpoint holds memory, not disks. If you keep the disks consistent yourself, say so: disks "external".',
    details: { disks: writable },
  });
}

async function protect(
  qmp: QmpClient,
  version: QemuVersion,
  location: string,
  config: KvmConfig,
  disks: readonly DiskInfo[],
  { signal = new AbortController().signal, machineId }: AttachOptions,
): Promise<Machine> {
  const description = await describe(qmp, version, signal);
  if (description.undescribed) throw undescribed();
  const settings = await readSettings(qmp, signal);
  const pauses = new PauseWatch(qmp);
  const unguard = config.guard ? guard(location) : (): void => undefined;
  try {
    await setCapabilities(qmp, settings.capabilities, ['events']);
    await setParameters(qmp, config.downtimeLimitMs, false);
    const header = await probe(qmp, pauses, config, AbortSignal.any([signal, qmp.closed]));
    const choice = await chooseMode(qmp, settings, config, description);
    const { colo } = choice;
    if (colo) await setParameters(qmp, config.downtimeLimitMs, colo);
    const backends = await qmp.execute<readonly { id?: string }[]>('query-memdev', {}, { signal });
    const names = backends.flatMap(({ id }) => id ?? []);
    const info = machineInfo(description, header, disks, names, { machineId, location });
    return new KvmMachine(info, supports(choice), { qmp, pauses, config, colo, settings, unguard });
  } catch (error) {
    if (!qmp.closed.aborted) await restoreSettings(qmp, settings).catch(() => undefined);
    pauses.close();
    unguard();
    throw error;
  }
}

/**
 * Begins an ordinary migration to learn the RAM blocks, and that this guest can be migrated at all, and ends it. It is
 * not kept for the first capture: a small guest's would be complete by then, and the guest stand.
 */
async function probe(
  qmp: QmpClient,
  pauses: PauseWatch,
  config: KvmConfig,
  signal: AbortSignal,
): Promise<StreamHeader> {
  const session = await Session.start(qmp, pauses, config, false, signal);
  await session.end();
  return session.announced;
}

interface Choice {
  readonly colo: boolean;
  /** Why there is something that this machine cannot do. */
  readonly limits: readonly string[];
}

/** Turns COLO on where it may and can be. Requires that every other capability is off. */
async function chooseMode(
  qmp: QmpClient,
  { capabilities }: MigrationSettings,
  { mode }: KvmConfig,
  { accelerator, qemu }: Description,
): Promise<Choice> {
  const emulated = accelerator === 'tcg';
  // Under TCG a COLO checkpoint deadlocks QEMU: no guest is to be risked unless its owner insists.
  const wanted = mode === 'colo' || (mode === 'auto' && !emulated);
  const missing = wanted ? await withoutColo(qmp, capabilities) : undefined;
  if (missing !== undefined && mode === 'colo') {
    throw new FitdocError('CAPABILITY_MISSING', 'This QEMU was built without COLO.', {
      cause: missing,
      hint: 'Use mode "precopy" (or "auto"), or a QEMU built with replication support, as most distributions\' are.',
    });
  }
  const colo = wanted && missing === undefined;
  const why =
    mode === 'precopy'
      ? 'as the setting mode asks'
      : emulated
        ? 'the guest is emulated'
        : 'this QEMU lacks COLO';
  const limits = colo
    ? []
    : [`Each capture reads all of the memory (${why}): its time grows with the memory.`];
  if (emulated && qemu.major < 9)
    limits.push('Under emulation QEMU before 9.0 can lose pages in any migration.');
  return { colo, limits };
}

/** Turns COLO on; gives the refusal of a QEMU that lacks it. */
async function withoutColo(qmp: QmpClient, known: MigrationSettings['capabilities']): Promise<unknown> {
  try {
    await setCapabilities(qmp, known, ['x-colo', 'events']);
    return undefined;
  } catch (error) {
    if (qmp.closed.aborted) throw error;
    return error;
  }
}

function supports({ colo, limits }: Choice): MachineSupports {
  return Object.freeze({ increments: colo, onDemand: true, limits: Object.freeze([...limits]) });
}

function notASocket(location: string): FitdocError {
  return new FitdocError('LOCATION_INVALID', `"${location}" is no QMP socket.`, {
    hint: 'Write kvm: and the path of a "-qmp unix:PATH,server=on,wait=off" socket.',
  });
}

function migrating(state: string): FitdocError {
  return new FitdocError('MACHINE_BUSY', `The guest is being migrated or saved (${state}).`, {
    hint: 'Wait for its end ("query-migrate"), or cancel it ("migrate_cancel").',
    retryable: true,
  });
}

function movedAway(): FitdocError {
  return new FitdocError(
    'MACHINE_PAUSED',
    'The guest was migrated out of this QEMU, or saved, and stands since.',
    {
      hint: 'Send "cont" to QEMU only if the guest runs nowhere else.',
    },
  );
}

function waiting(): FitdocError {
  return new FitdocError(
    'MACHINE_NOT_FOUND',
    'This QEMU waits for an incoming machine and runs no guest yet.',
    {
      hint: 'Restore a checkpoint into it, or start QEMU without -incoming.',
    },
  );
}

function undescribed(): FitdocError {
  return new FitdocError(
    'CAPABILITY_MISSING',
    'The machine is set to leave out the description of its streams.',
    {
      hint: 'Start QEMU without suppress-vmdesc=on.',
    },
  );
}
