import { hypervisorFor } from '@fitdoc/adapters';
import { FitdocError, isFitdocError, type Machine } from '@fitdoc/interface';
import type { ProtectionEvent } from '@fitdoc/engine';
import type { Command } from 'commander';
import { adapterSettings, SET_HELP } from './adapter-settings.js';
import { shortId, time } from './output/units.js';
import type { Session, StoreOptions } from './session.js';

/** Options of the commands that attach to a machine. */
export interface CaptureOptions extends StoreOptions {
  readonly disks?: string;
  readonly machineId?: string;
  readonly compressor?: string;
  readonly level?: string;
  readonly from?: string;
  readonly newBase?: boolean;
  readonly init?: boolean;
  readonly set?: string[];
}

export function captureOptions(command: Command): Command {
  return command
    .option('--disks <policy>', 'external: checkpoint a guest with writable disks, which you keep consistent')
    .option('--machine-id <id>', 'name the chain yourself instead of by what the hypervisor says')
    .option('--compressor <name>', 'zstd, lz4 or none')
    .option('--level <n>', 'compression level')
    .option('--from <checkpoint>', 'go on from this checkpoint instead of the latest: the next one forks')
    .option('--new-base', 'start over with a full checkpoint')
    .option('--init', 'make the repository if it is not there')
    .option('--set <key=value...>', SET_HELP);
}

/** Attaches to the machine, and detaches when the session closes. */
export async function attach(
  session: Session,
  location: string,
  options: CaptureOptions,
  intervalMs?: number,
): Promise<Machine> {
  const { hypervisor, rest } = await hypervisorFor(location);
  const machine = await hypervisor
    .attach(rest, {
      signal: session.signal,
      onProgress: session.terminal.progress,
      disks: disksPolicy(options.disks),
      config: adapterSettings(options.set),
      ...(options.machineId !== undefined && { machineId: options.machineId }),
      ...(intervalMs !== undefined && { intervalMs }),
    })
    .catch(sayHow);
  session.onClose(() => machine.detach());
  for (const limit of machine.supports.limits) session.terminal.note(`note: ${limit}`);
  return machine;
}

/** The library's hint names an option of the library; the user of the command needs the command's. */
function sayHow(error: unknown): never {
  if (!isFitdocError(error, 'MACHINE_HAS_DISKS')) throw error;
  throw new FitdocError(error.code, error.message, {
    cause: error,
    details: error.details,
    hint: 'A checkpoint holds memory, not disks. If you keep the disks consistent yourself, add --disks external.',
  });
}

function disksPolicy(value: string | undefined): 'refuse' | 'external' {
  if (value === undefined || value === 'refuse') return 'refuse';
  if (value === 'external') return 'external';
  throw new FitdocError('ARGUMENT_INVALID', `--disks ${value} is not known.`, {
    hint: 'Use --disks external, or leave it out.',
  });
}

export function protectOptions(
  session: Session,
  options: CaptureOptions,
): Parameters<Session['engine']['protect']>[2] {
  return {
    signal: session.signal,
    onProgress: session.terminal.progress,
    resume: options.newBase ? 'never' : 'auto',
    ...(options.compressor !== undefined && { compressor: options.compressor }),
    ...(options.level !== undefined && { level: wholeNumber('--level', options.level) }),
    ...(options.from !== undefined && { from: options.from }),
    onEvent: (event) => report(session, event),
  };
}

function report(session: Session, event: ProtectionEvent): void {
  const { terminal } = session;
  switch (event.type) {
    case 'resuming':
      terminal.note(`going on from checkpoint ${shortId(event.from.id)} of ${time(event.from.capturedAtMs)}`);
      return;
    case 'resume-failed':
      terminal.note(`the chain cannot be read (${event.error.message}); starting over with a base`);
      return;
    case 'skipped':
      terminal.note(`${event.missed} checkpoint(s) left out: the one before took longer than the interval`);
      return;
    case 'checkpoint-failed':
      terminal.error(event.error);
      return;
    case 'checkpoint':
    case 'resumed':
    case 'progress':
    case 'gone':
  }
}

export function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new FitdocError('ARGUMENT_INVALID', `${name} takes a whole number, not ${JSON.stringify(text)}.`);
}

const FACTORS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `500ms`, `1s`, `2.5m`, `1h`; a bare number is seconds. */
export function interval(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|min|h|d)?$/.exec(text);
  const value = match ? Number(match[1]) * (FACTORS[match[2] ?? 's'] ?? 1000) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new FitdocError(
    'ARGUMENT_INVALID',
    `${name} takes a time such as 500ms, 1s or 5m, not ${JSON.stringify(text)}.`,
  );
}
