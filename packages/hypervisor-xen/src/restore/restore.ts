import { randomBytes } from 'node:crypto';
import { lstat, open, realpath, rename, rm } from 'node:fs/promises';
import {
  abortError,
  checkOutputPlace,
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type MemoryRegion,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import type { HostProcess, HostShell } from '../host/shell.js';
import { nameTaken } from '../host/xl.js';
import { parseGuestConfig } from '../memory/guest-config.js';
import { decodeTypeRuns } from '../memory/page-types.js';
import { formerRegionsFor, regionsFor } from '../memory/pfn-space.js';
import { GUEST_PV } from '../stream/headers.js';
import { deviceModelNotes } from './device-model.js';
import { xenStream, writeXenStream, type XenStreamOptions } from '../stream/export.js';
import { hasVcpuState, readDeviceState, type RestoredState } from '../stream/stream-state.js';

const RESTORE_SCRIPT = String.raw`
work=$(mktemp -d) || exit 70
mkfifo "$work/pipe" || exit 70
exec 4<&0 </dev/null
cat <&4 >"$work/pipe" &
feeder=$!
exec 4<&-
set -- $1
xl restore "$@" "$work/pipe" >&2
status=$?
kill "$feeder" 2>/dev/null
rm -rf "$work"
exit "$status"
`;

function incompatible(what: string, hint: string): FitdocError {
  return new FitdocError('MACHINE_INCOMPATIBLE', what, { hint });
}

/** Checks that a host can take a checkpoint, before a page is read. Errors: MACHINE_INCOMPATIBLE. */
async function checkHost(
  shell: HostShell,
  state: RestoredState,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  const { xen, taken } = await nameTaken(shell, name, signal);
  const { image } = state;
  if (xen.major !== image.xenMajor || xen.minor < image.xenMinor) {
    throw incompatible(
      `The checkpoint was taken on Xen ${image.xenMajor}.${image.xenMinor}; ${shell.name} runs ${xen.version}.`,
      'Restore it on the same or a later Xen.',
    );
  }
  const wanted = image.guestType === GUEST_PV ? 'pv' : 'hvm';
  if (!xen.capabilities.includes(wanted)) {
    throw incompatible(
      `${shell.name} cannot run ${wanted} guests.`,
      '`xl info` lists virt_caps; see the BIOS too.',
    );
  }
  if (taken) {
    throw incompatible(
      `A domain named ${name} is there already.`,
      `Give another name (xen:NAME), or end the running one first: xl destroy ${name}.`,
    );
  }
}

function readState(source: RestoreSource): RestoredState {
  const state = readDeviceState(source.deviceState);
  if (!hasVcpuState(state)) {
    throw incompatible('The checkpoint holds memory but no vCPU state.', 'It cannot be restored.');
  }
  const shape = (regions: readonly MemoryRegion[]) =>
    regions.map(({ name, firstGfn, pages, gpa }) => `${name} ${firstGfn} ${pages} ${gpa}`).join();
  const config = parseGuestConfig(state.config);
  const possible = [regionsFor(config), formerRegionsFor(config)].map(shape);
  if (!possible.includes(shape(source.info.regions))) {
    throw incompatible(
      "The checkpoint's memory regions are not those of its domain.",
      'It was put together from different machines; verify it.',
    );
  }
  return state;
}

/** Writes a chunk and waits for room; false when the reader is gone. */
async function write(child: HostProcess, chunk: Uint8Array): Promise<boolean> {
  return await new Promise((resolve) => {
    if (child.stdin.destroyed) resolve(false);
    else child.stdin.write(chunk, (error) => resolve(!error));
  });
}

async function feed(child: HostProcess, source: RestoreSource, options: XenStreamOptions): Promise<void> {
  for await (const chunk of xenStream(source, options)) {
    // When xl has ended early, its exit code tells why.
    if (!(await write(child, chunk))) return;
  }
  child.stdin.end();
}

/**
 * Restores a checkpoint as a running domain through `xl restore`. `config.paused` leaves it paused;
 * `config.uuid` replaces its uuid.
 */
export async function restoreDomain(
  shell: HostShell,
  name: string,
  source: RestoreSource,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const state = readState(source);
  await checkHost(shell, state, name, options.signal);
  const older = await deviceModelNotes(shell, source.info, options.signal);
  const paused = options.config?.paused;
  const child = shell.start(RESTORE_SCRIPT, [paused === true ? '-p' : '']);
  child.stdin.on('error', () => {});
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-8192)));
  }
  const exit = new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('exit', (code) => resolve(code));
  });
  const settings = { ...identity(options), ...options, name };
  try {
    await feed(child, source, settings);
  } catch (error) {
    // The stream breaks off, and xl destroys what it had built.
    child.stdin.destroy();
    await exit;
    throw isFitdocError(error) ? error : failed(shell, words, error);
  }
  const code = await exit;
  if (options.signal?.aborted) throw abortError(options.signal);
  if (code !== 0) throw failed(shell, words, new Error(`exit code ${code}`));
  return {
    state: paused === true ? 'paused' : 'running',
    pages: pagesOf(state),
    notes: [...notesFor(source, name), ...older],
  };
}

/** The name and uuid that the settings of a restore give the domain. */
function identity({ config = {} }: RestoreOptions): Pick<XenStreamOptions, 'name' | 'uuid'> {
  const { name, uuid } = config;
  return { ...(typeof name === 'string' && { name }), ...(typeof uuid === 'string' && { uuid }) };
}

function failed(shell: HostShell, words: string, cause: unknown): FitdocError {
  const lines = words.split(/[\r\n]+/).filter((line) => line !== '' && !line.includes('progress'));
  return new FitdocError('RESTORE_FAILED', `xl restore on ${shell.name} failed.`, {
    cause: new Error(lines.slice(-8).join('\n'), { cause }),
    hint: 'See the cause for what xl said, and `xl dmesg`; not enough free memory is the usual reason.',
  });
}

function pagesOf(state: RestoredState): number {
  return decodeTypeRuns(state.pages).reduce((sum, run) => sum + run.count, 0);
}

function notesFor(source: RestoreSource, name: string): string[] {
  const notes: string[] = [];
  if (name !== source.info.name)
    notes.push(`the domain is named ${name}; it was captured as ${source.info.name}`);
  for (const disk of source.info.disks) {
    notes.push(`disk ${disk.name} (${disk.source ?? 'unknown source'}) must be as it was at the checkpoint`);
  }
  return notes;
}

/**
 * Writes a checkpoint to a file that `xl restore FILE` takes; the file appears when it is complete. `config.name`
 * and `config.uuid` replace those of the domain. ARGUMENT_INVALID where a file is there that may not be replaced.
 */
export async function restoreFile(
  path: string,
  source: RestoreSource,
  options: RestoreOptions,
): Promise<RestoreReport> {
  throwIfAborted(options.signal);
  const state = readState(source);
  const place = await realpath(path).catch(() => path);
  checkOutputPlace(path, await lstat(place).catch(() => undefined), options.replace);
  const partial = `${place}.${randomBytes(6).toString('hex')}.partial`;
  try {
    const file = await open(partial, 'wx', 0o600);
    try {
      const settings = { ...identity(options), ...options };
      await writeXenStream(source, { write: (chunk) => file.writeFile(chunk) }, settings);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, place);
  } catch (error) {
    await rm(partial, { force: true });
    if (isFitdocError(error)) throw error;
    throw new FitdocError('RESTORE_FAILED', `The file ${path} could not be written.`, {
      cause: error,
      hint: 'Check that its folder is there and has room.',
    });
  }
  return { state: 'written', pages: pagesOf(state), notes: [`start it with: xl restore ${path}`] };
}
