import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { hypervisorFor } from '@fitdoc/adapters';
import { FitdocError, isFitdocError, type Machine, type PauseBudget } from '@fitdoc/interface';
import type { ProtectionEvent } from '@fitdoc/engine';
import type { Writer } from '@fitdoc/repository';
import type { Command } from 'commander';
import { adapterSettings, SET_HELP } from './adapter-settings.js';
import { interval } from './interval.js';
import { shortId } from './output/units.js';
import { pauseHook, pauseHookOptions, type PauseHookOptions } from './pause-hook.js';
import { quiesceOf, quiesceOptions, type QuiesceOptions } from './quiesce.js';
import { PLAIN_OPTION, type Session, type StoreOptions, type StoringOptions } from './session.js';

/** Options of the commands that attach to a machine. */
export interface CaptureOptions extends StoreOptions, StoringOptions, PauseHookOptions, QuiesceOptions {
  readonly disks?: string;
  readonly leaveOutDisk?: string[];
  readonly machineId?: string;
  readonly standing?: boolean;
  readonly compressor?: string;
  readonly level?: string;
  readonly fork?: boolean;
  readonly from?: string;
  readonly newBase?: boolean;
  readonly init?: boolean;
  readonly memory?: string;
  readonly coldDir?: string;
  readonly set?: string[];
  readonly maxPause?: string;
  readonly maxPauseWait?: string;
  readonly overMaxPause?: string;
}

export function captureOptions(command: Command): Command {
  return pauseHookOptions(quiesceOptions(command))
    .option(
      '--disks <policy>',
      'of a guest with writable disks: capture (they become part of the checkpoint), or external (you keep them consistent)',
    )
    .option('--leave-out-disk <name...>', 'disks that are not captured: scratch, swap')
    .option('--machine-id <id>', 'name the chain yourself instead of by what the hypervisor says')
    .option('--fork', 'give the guest a chain of its own beside that of another guest with the same identity')
    .option('--compressor <name>', 'zstd, lz4 or none')
    .option('--level <n>', 'compression level')
    .option('--from <checkpoint>', 'go on from this checkpoint instead of the latest: the next one forks')
    .option('--new-base', 'start over with a full checkpoint')
    .option(
      '--memory <size>',
      "bytes that the guest's image may take (4G), whole or in part; default: what the control group, or the system, has left",
    )
    .option(
      '--cold-dir <directory>',
      'on a disk: keeps what of the image has no place in memory; default: TMPDIR or /var/tmp',
    )
    .option('--init', 'make the repository if it is not there')
    .option(...PLAIN_OPTION)
    .option('--max-pause <time>', 'put a checkpoint off while its pause is expected to be longer: 20ms')
    .option('--max-pause-wait <time>', 'how long, at most (5s)')
    .option('--over-max-pause <what>', 'then: refuse the checkpoint (default), or exceed the pause')
    .option('--set <key=value...>', SET_HELP);
}

/** Attaches to the machine, and detaches when the session closes. */
export async function attach(
  session: Session,
  location: string,
  options: CaptureOptions,
  intervalMs?: number,
): Promise<Machine> {
  if (options.memory !== undefined) session.memory = memorySize(options.memory);
  session.coldDirectory = options.coldDir;
  const { hypervisor, rest } = await hypervisorAt(location);
  const attachAs = (machineId: string | undefined): Promise<Machine> =>
    hypervisor
      .attach(rest, {
        signal: session.signal,
        onProgress: session.terminal.progress,
        disks: disksPolicy(options.disks),
        ...(options.standing && { standing: true }),
        ...(options.leaveOutDisk && { leaveOutDisks: options.leaveOutDisk }),
        config: adapterSettings(options.set),
        ...(machineId !== undefined && { machineId }),
        ...(intervalMs !== undefined && { intervalMs }),
      })
      .catch(sayHow);
  let machine = await attachAs(options.machineId);
  if (options.fork) {
    const fork = forkId(machine.info.id, location);
    session.terminal.note(`note: a fork of ${machine.info.id}: its chain is ${fork}, and begins with a base`);
    await machine.detach();
    machine = await attachAs(fork);
  }
  session.onClose(async () => {
    await machine.detach({ onNote: (text) => session.terminal.note(text) });
    // One that can tell has ended well: what it left standing stands by somebody else's will.
    if (machine.standing) session.letGo = true;
  });
  for (const limit of machine.supports.limits) session.terminal.note(`note: ${limit}`);
  return machine;
}

/** An identity of its own for one of several guests that have the same: the same again for the same place. */
function forkId(id: string, location: string): string {
  const place = createHash('sha256').update(`${hostname()} ${location}`).digest('hex').slice(0, 8);
  return `${id.slice(0, 50)}.fork-${place}`;
}

/** The adapter of a machine's location. A path is mostly meant as that of a QMP socket: that is said. */
export async function hypervisorAt(location: string): ReturnType<typeof hypervisorFor> {
  return hypervisorFor(location).catch((error: unknown) => {
    const isPath = /^[./~]|\.(qmp|sock|socket)$/.test(location) && !/^[a-z0-9+]+:/.test(location);
    if (!isPath || !isFitdocError(error, 'LOCATION_UNKNOWN')) throw error;
    throw new FitdocError(error.code, `"${location}" does not say what hypervisor the machine has.`, {
      cause: error,
      hint: `For the QMP socket of a QEMU write kvm:${location}; there are also xen:DOMAIN and mock:NAME.`,
    });
  });
}

/** The library's hint names an option of the library; the user of the command needs the command's. */
function sayHow(error: unknown): never {
  if (!isFitdocError(error, 'MACHINE_HAS_DISKS')) throw error;
  throw new FitdocError(error.code, error.message, {
    cause: error,
    details: error.details,
    hint: 'To have them in the checkpoint, add --disks capture (where the hypervisor can). If you keep them consistent yourself: --disks external.',
  });
}

/** The bound of a pause that the options ask for, read before anything is touched. ARGUMENT_INVALID. */
export function pauseBudget({ maxPause, maxPauseWait = '5s', overMaxPause = 'refuse' }: CaptureOptions): {
  readonly pauseBudget?: PauseBudget;
} {
  if (maxPause === undefined) return {};
  if (overMaxPause !== 'refuse' && overMaxPause !== 'exceed')
    throw new FitdocError('ARGUMENT_INVALID', `--over-max-pause ${overMaxPause} is not known.`, {
      hint: 'Use refuse or exceed.',
    });
  const maxMs = interval('--max-pause', maxPause);
  const waitMs = interval('--max-pause-wait', maxPauseWait);
  return { pauseBudget: { maxMs, waitMs, otherwise: overMaxPause } };
}

/** Says so where the machine's adapter heeds no bound of its pauses. */
export function tellUnkept(session: Session, machine: Machine, { maxPause }: CaptureOptions): void {
  if (maxPause === undefined || machine.supports.pauseBudget === true) return;
  session.terminal.note('note: pauses of this hypervisor cannot be foretold: --max-pause is not kept.');
}

function disksPolicy(value: string | undefined): 'capture' | 'external' | 'refuse' {
  if (value === undefined || value === 'refuse') return 'refuse';
  if (value === 'external' || value === 'capture') return value;
  throw new FitdocError('ARGUMENT_INVALID', `--disks ${value} is not known.`, {
    hint: 'Use --disks capture or --disks external, or leave it out.',
  });
}

export function protectOptions(
  session: Session,
  options: CaptureOptions,
  { location: given, program }: Writer,
): Parameters<Session['engine']['protect']>[2] {
  // A location may hold a password.
  const location = given.replace(/(\/\/[^/@:\s]*):[^/@\s]*@/, '$1:***@');
  return {
    signal: session.signal,
    onProgress: session.terminal.progress,
    writer: { location, program },
    ...pauseHook(options, location),
    ...quiesceOf(options),
    resume: options.newBase ? 'never' : 'auto',
    ...(options.compressor !== undefined && { compressor: compressor(options.compressor) }),
    ...(options.level !== undefined && { level: wholeNumber('--level', options.level) }),
    ...(options.from !== undefined && { from: options.from }),
    onEvent: (event) => report(session, event),
  };
}

function report(session: Session, event: ProtectionEvent): void {
  const { terminal } = session;
  switch (event.type) {
    case 'resuming':
      terminal.note(
        `going on from checkpoint ${shortId(event.from.id)} of ${terminal.time(event.from.capturedAtMs)}`,
      );
      return;
    case 'resume-failed':
      damage(
        session,
        event.error,
        `the chain cannot be read (${event.error.message}); starting over with a base`,
      );
      return;
    case 'damaged':
      for (const { key, damaged } of event.entries)
        damage(
          session,
          damaged,
          `the object ${key} is damaged (${damaged.message}); going on without it`,
          key,
        );
      return;
    case 'chain-broken':
      damage(
        session,
        event.error,
        `the chain is broken (${event.error.message}); the next checkpoint goes on without it`,
      );
      return;
    case 'skipped':
      terminal.note(`${event.missed} checkpoint(s) left out: the one before took longer than the interval`);
      return;
    case 'checkpoint-failed':
      terminal.error(event.error);
      return;
    case 'standing':
    case 'ended':
      terminal.state(event.error);
      return;
    case 'running':
      terminal.note('The guest runs again: checkpoints go on.');
      return;
    case 'checkpoint':
    case 'resumed':
    case 'progress':
    case 'gone':
  }
}

const COMPRESSORS = ['zstd', 'lz4', 'none'];

function compressor(name: string): string {
  if (COMPRESSORS.includes(name)) return name;
  throw new FitdocError('ARGUMENT_INVALID', `--compressor ${name} is not known.`, {
    hint: `Use one of ${COMPRESSORS.join(', ')}.`,
  });
}

/** Tells of a lost object: a note for people, a message of its own for programs. */
function damage(session: Session, error: FitdocError, text: string, key = error.details['key']): void {
  if (!session.terminal.json) return session.terminal.note(text);
  session.terminal.data({
    message_type: 'damage',
    code: error.code,
    message: error.message,
    key: key ?? null,
    missing_id: error.details['missingParentId'] ?? null,
  });
}

function memorySize(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)$/i.exec(text) ?? [];
  if (number !== undefined)
    return Math.floor(Number(number) * 1024 ** ' KMGT'.indexOf(unit.toUpperCase() || ' '));
  throw new FitdocError('ARGUMENT_INVALID', `--memory takes a size such as 512M or 16G, not ${text}.`);
}

export function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new FitdocError('ARGUMENT_INVALID', `${name} takes a whole number, not ${JSON.stringify(text)}.`);
}

/** `20M` as bytes. ARGUMENT_INVALID. */
export function byteSize(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)$/.exec(text);
  const factor = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }[match?.[2] ?? ''] ?? 1;
  const size = match ? Math.floor(Number(match[1]) * factor) : 0;
  if (size > 0) return size;
  throw new FitdocError('ARGUMENT_INVALID', `${name} takes a size such as 20M, not ${text}.`);
}
