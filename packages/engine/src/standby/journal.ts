import { readFile, readdir, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { machineFromJson, machineToJson } from '@fitdoc/format';
import { FitdocError, type DeviceState, type MachineInfo } from '@fitdoc/interface';
import { writeWhole } from '../export/partial-file.js';

/** The state that the files of memory hold. */
export interface StandbyPoint {
  /** Its content hash. */
  readonly state: string;
  readonly id: string;
  /** Of the adapter that can bring it back. */
  readonly scheme: string;
  readonly sequence: number;
  readonly capturedAtMs: number;
}

/** That the machine was started from the files: from then on they are its memory. */
export interface Promotion {
  /** Names the takeover in the repository. */
  readonly token: string;
  readonly atMs: number;
  /** Where it runs, with its scheme, and its process; absent until it does. */
  readonly location?: string;
  readonly pid?: number;
  /** The boot of the host in which it does: a process of another one has ended. */
  readonly boot?: string | undefined;
}

/** What a standby's directory says of itself. */
export interface Journal {
  readonly version: 1;
  readonly repository: { readonly id: string; readonly location: string };
  readonly machine: string;
  /** The boot of the host that wrote it: after another one nobody knows what of the files has reached the disk. */
  readonly boot: string;
  /** All of the files was on the disk when this was written, and nothing was written since. */
  readonly settled?: boolean | undefined;
  readonly at?: StandbyPoint | undefined;
  /** The state whose pages are being written over those of `at`: some of them may be there. */
  readonly going?: string | undefined;
  readonly promotion?: Promotion | undefined;
}

/** What a machine is in a state, but for its pages. */
export interface StateRecord {
  readonly info: MachineInfo;
  readonly deviceState: readonly DeviceState[];
  /** Disks that the checkpoint holds. */
  readonly disks: number;
}

const FILE = 'standby.json';
const stateFile = (state: string): string => `state-${state}.json`;

/** Undefined where the directory is none of a standby. CONFIG_INVALID where it is another version's, or cannot be read. */
export async function readJournal(directory: string): Promise<Journal | undefined> {
  const file = path.join(directory, FILE);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const journal = parsed(text) as Partial<Journal> | undefined;
  if (journal?.version === 1) return journal as Journal;
  throw new FitdocError('CONFIG_INVALID', `${file} is none of a standby that this fitdoc knows.`, {
    hint: 'Name another directory, or remove this one: it is made anew from the repository.',
  });
}

export function writeJournal(directory: string, journal: Journal): Promise<void> {
  return writeText(path.join(directory, FILE), JSON.stringify(journal));
}

export async function writeState(directory: string, state: string, record: StateRecord): Promise<void> {
  const deviceState = record.deviceState.map(({ name, bytes }) => ({
    name,
    base64: Buffer.from(bytes).toString('base64'),
  }));
  const info = machineToJson(record.info, unreadable(directory));
  await writeText(path.join(directory, stateFile(state)), JSON.stringify({ ...record, info, deviceState }));
}

/** CONFIG_INVALID where it cannot be read. */
export async function readState(directory: string, state: string): Promise<StateRecord> {
  const file = path.join(directory, stateFile(state));
  const record = parsed(await readFile(file, 'utf8').catch(() => '')) as StoredState | undefined;
  const fail = unreadable(file);
  if (record?.info === undefined) throw fail('it holds no machine');
  const deviceState = record.deviceState.map(({ name, base64 }) => ({
    name,
    bytes: new Uint8Array(Buffer.from(base64, 'base64')),
  }));
  return { ...record, info: machineFromJson(record.info, fail), deviceState };
}

function unreadable(place: string): (message: string) => FitdocError {
  return (message) =>
    new FitdocError('CONFIG_INVALID', `What a standby holds in ${place} cannot be read: ${message}.`, {
      hint: 'Remove the directory of the standby: it is made anew from the repository.',
    });
}

/** Removes what was recorded of other states, and what a killed process left half written. */
export async function keepState(directory: string, state: string | undefined): Promise<void> {
  const kept = state === undefined ? undefined : stateFile(state);
  for (const name of await readdir(directory)) {
    const old = /^state-[0-9a-f]{64}\.json$/.test(name) && name !== kept;
    if (old || /^(state-|standby)[^/]*\.partial-/.test(name))
      await rm(path.join(directory, name), { force: true });
  }
}

/** ARGUMENT_INVALID for a directory that is a machine's memory now. */
export function startedBefore(directory: string, { machine, promotion }: Journal): FitdocError {
  return new FitdocError(
    'ARGUMENT_INVALID',
    `${machine} was started from ${directory}, which is its memory now; it was at ${promotion?.location}.`,
    {
      hint: 'Follow it in another directory. If it has ended for good, start it anew with --again, or remove this directory.',
      details: { ...promotion },
    },
  );
}

/** Undefined where the host does not tell: then nothing is known after a restart. */
export function thisBoot(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}

type StoredState = Omit<StateRecord, 'info' | 'deviceState'> & {
  readonly info: unknown;
  readonly deviceState: readonly { readonly name: string; readonly base64: string }[];
};

function writeText(file: string, text: string): Promise<void> {
  return writeWhole(file, { replace: true }, (handle) => handle.writeFile(text));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
