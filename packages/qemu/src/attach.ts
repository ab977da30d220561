import {
  chooseDisks,
  FitdocError,
  withLinkedSignal,
  type AttachOptions,
  type DiskInfo,
  type Machine,
  type MachineSupports,
} from '@fitdoc/interface';
import { agentChannel } from './agent/channel.js';
import { Disks, type DiskSettings } from './disks/disks.js';
import { assertHoldsStorage, diskObstacle } from './disks/obstacle.js';
import { assertServesNobody } from './disks/server.js';
import { sweepDisks } from './disks/sweep.js';
import { tearsSnapshots } from './disks/tearing.js';
import { readConfig, type QemuConfig } from './config.js';
import type { Door } from './door.js';
import { attached } from './guard/attached.js';
import { readCommand, readOrigin } from './launch/recorded.js';
import { describe } from './machine/describe.js';
import { readDrives, type Drives } from './machine/disks.js';
import { machineInfo } from './machine/info.js';
import { readMemoryMap } from './machine/memory-map.js';
import { QemuMachine } from './machine/machine.js';
import { notRunning, standsWhole } from './machine/run-state.js';
import type { QemuVersion, QmpClient } from './qmp/client.js';
import { chooseMode, type Choice } from './session/mode.js';
import { ReaderThread } from './reader/thread.js';
import { limitsOf, type StreamWay } from './session/link.js';
import { PauseWatch } from './session/pause.js';
import { isMigrating, migrationState, release } from './session/release.js';
import { chooseShield } from './session/shield.js';
import { Session, type SessionParts } from './session/session.js';
import type { StreamHeader } from './stream/sections.js';
import { setCapabilities, setParameters } from './session/settings.js';

/** Attaches to the QEMU at a location; see the Hypervisor port. */
export async function attach(door: Door, location: string, options: AttachOptions = {}): Promise<Machine> {
  const { signal } = options;
  const config = readConfig(options.config, door.scheme);
  const { client, version } = await door.connect(location, { signal, timeoutMs: config.timeoutMs });
  try {
    const standing = await makeReady(client, options);
    const drives = await allowedDrives(client, door, version, config, options, standing);
    return await protect(client, version, door, location, config, drives, standing, options);
  } catch (error) {
    client.close();
    throw error;
  }
}

/**
 * Sees that the guest runs, or stands and may be captured so, and that no one migrates it; frees one that an earlier
 * attachment left standing. Gives the state in which it stands.
 */
async function makeReady(qmp: QmpClient, { signal, standing }: AttachOptions): Promise<string | undefined> {
  const state = await migrationState(qmp, signal);
  if (state.guest === 'colo' || state.migration === 'colo') await release(qmp);
  const { guest, migration } = await migrationState(qmp, signal);
  const pending = migration === 'colo' && guest !== 'running';
  if (guest !== 'inmigrate' && !pending && isMigrating({ guest, migration, errorText: undefined }))
    throw migrating(migration ?? '');
  const stands = guest !== 'running';
  if (stands && !(standing && standsWhole(guest))) throw notRunning(guest);
  // Nothing is left to end; this only waits until QEMU has cleaned up after an earlier migration.
  await release(qmp, { keepStopped: stands });
  return stands ? guest : undefined;
}

interface ChosenDrives extends Drives {
  readonly capture: boolean;
}

/** What the attachment does with the machine's drives, as far as it can be told before anything is touched. */
async function allowedDrives(
  qmp: QmpClient,
  door: Door,
  version: QemuVersion,
  config: QemuConfig,
  options: AttachOptions,
  standing: string | undefined,
): Promise<ChosenDrives> {
  if (options.disks !== 'external') await assertHoldsStorage(qmp, options.signal);
  const found = await readDrives(qmp, options.signal);
  // An earlier attachment's filters may stand before them.
  const keepBitmaps = options.disks !== 'external' && config.keepBitmaps;
  if (found.disks.length > 0) await sweepDisks(qmp, { keepBitmaps });
  const leftOut = new Set(options.leaveOutDisks);
  const stands = standing && STANDS;
  const obstacle = stands ?? door.diskObstacle ?? (await diskObstacle(qmp, version, leftOut));
  const chosen = chooseDisks(found.disks, options, obstacle === undefined, obstacle);
  if (chosen.capture) await assertServesNobody(qmp);
  return { ...found, ...chosen };
}

async function protect(
  qmp: QmpClient,
  version: QemuVersion,
  door: Door,
  location: string,
  config: QemuConfig,
  drives: ChosenDrives,
  standing: string | undefined,
  options: AttachOptions,
): Promise<Machine> {
  const { signal = new AbortController().signal, machineId } = options;
  const description = await describe(qmp, version, undefined, signal);
  if (description.undescribed) throw undescribed();
  const begun = await attached(qmp, door, location, config, standing !== undefined);
  const pauses = new PauseWatch(qmp);
  const reader = new ReaderThread();
  let held: Session | undefined;
  try {
    await setCapabilities(qmp, begun.found.capabilities, ['events']);
    await setParameters(qmp, config.downtimeLimitMs, false);
    const reads = begun.reads.bind(begun);
    const plain = { colo: false, returnPath: false, endsAtColo: false };
    const stands = standing !== undefined;
    const parts = { qmp, pauses, reader, config, ...plain, shield: undefined, standing: stands, reads };
    const { header, way, session } = await withLinkedSignal([signal, qmp.closed], (either) =>
      probe(parts, either),
    );
    held = session;
    const equipment = await readEquipment(qmp, header, signal);
    const handsOver = way.through === 'descriptor';
    const needs = { memoryBackends: equipment.backends, disks: drives.capture && handsOver };
    // COLO would let it run.
    const choice = stands
      ? { ...plain, limits: [capturedOnce(standing)] }
      : await chooseMode(qmp, begun.found, config, description, needs);
    const { colo, returnPath, endsAtColo } = choice;
    const why = handsOver ? NEEDS_COLO : NEEDS_DESCRIPTORS;
    const can = (colo || endsAtColo) && handsOver && drives.capture;
    // Where all are left out, or none is there, nothing depends on it.
    const capture = drives.capture && chooseDisks(drives.disks, options, can, why).capture;
    const { shield, limits } = colo ? chooseShield(version, begun.found) : { shield: undefined, limits: [] };
    if (colo) await setParameters(qmp, config.downtimeLimitMs, colo);
    const named = { machineId, location, scheme: door.scheme };
    const info = machineInfo(description, header, { drives, ...equipment }, named);
    const agent = await agentOf(qmp, door);
    const supported = supports(choice, capture, agent !== undefined, [...limits, ...limitsOf(way)]);
    const disks = capture
      ? new Disks(qmp, diskSettings(config, version, drives.disks, begun.life))
      : undefined;
    const chosen = { colo, returnPath, endsAtColo, shield, disksAreOthers: options.disks === 'external' };
    const whole = { ...parts, ...chosen, disks, attached: begun, door, session, agent };
    return new QemuMachine(info, supported, whole);
  } catch (error) {
    await held?.end().catch(() => undefined);
    if (!qmp.closed.aborted) await begun.restore().catch(() => undefined);
    pauses.close();
    begun.end();
    await reader.close();
    throw error;
  }
}

/** What else a restore must know of the machine. */
async function readEquipment(qmp: QmpClient, { blocks }: StreamHeader, signal: AbortSignal) {
  const backends = await qmp.execute<readonly { id?: string }[]>('query-memdev', {}, { signal });
  return {
    backends: backends.length,
    memoryBackends: backends.flatMap(({ id }) => id ?? []),
    memoryMap: await readMemoryMap(qmp, blocks, signal),
    command: await readCommand(qmp),
    origin: await readOrigin(qmp),
  };
}

interface Probed {
  readonly header: StreamHeader;
  readonly way: StreamWay;
  readonly session?: Session;
}

/**
 * Begins an ordinary migration to learn the RAM blocks, and that this guest can be migrated at all, and ends it. It is
 * not kept for the first capture: a small guest's would be complete by then, and the guest stand. That of a guest which
 * stands is the only one that QEMU allows.
 */
async function probe(parts: SessionParts, signal: AbortSignal): Promise<Probed> {
  const session = await Session.start(parts, signal);
  const { announced: header, way } = session;
  if (parts.standing) return { header, way, session };
  await session.end();
  return { header, way };
}

const STANDS = 'the guest stands, and QEMU lets go of its disks at the end of what captures it then';

function capturedOnce(state: string): string {
  const { message } = notRunning(state);
  return `${message} It is captured as it stands, and QEMU calls it "postmigrate" from then on, until "cont".`;
}

/** The agent's channel, where there is one that is nobody else's. */
async function agentOf(qmp: QmpClient, { agentTaken }: Door): Promise<string | undefined> {
  return agentTaken === true ? undefined : agentChannel(qmp).catch(() => undefined);
}

const NEEDS_COLO = 'they are captured by way of COLO, or of its beginning, which this QEMU is without';
const NEEDS_DESCRIPTORS = 'QEMU must be given a file for them, and descriptors do not come through to it';

function diskSettings(
  config: QemuConfig,
  version: QemuVersion,
  disks: readonly DiskInfo[],
  life: string,
): DiskSettings {
  const leftOut = disks.filter((disk) => disk.leftOut === true).map(({ name }) => name);
  return {
    directory: config.diskDirectory,
    socketDirectory: config.socketDirectory,
    timeoutMs: config.timeoutMs,
    tears: tearsSnapshots(version),
    leftOut: new Set(leftOut),
    life,
    keepBitmaps: config.keepBitmaps,
  };
}

function supports(
  { colo, limits }: Choice,
  capture: boolean,
  quiesce: boolean,
  more: readonly string[],
): MachineSupports {
  const all = Object.freeze([...limits, ...more]);
  const disks = capture ? { disks: true } : {};
  const heeded = { onDemand: true, pauseBudget: true, pauseTask: true, ...(quiesce && { quiesce }) };
  return Object.freeze({ increments: colo, ...heeded, ...disks, limits: all });
}

function migrating(state: string): FitdocError {
  return new FitdocError('MACHINE_BUSY', `The guest is being migrated or saved (${state}).`, {
    hint: 'Wait for its end ("query-migrate"), or cancel it ("migrate_cancel").',
    retryable: true,
  });
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
