import { randomUUID } from 'node:crypto';
import { lstat, open, readFile, realpath, rename, rm, type FileHandle } from 'node:fs/promises';
import {
  checkOutputPlace,
  FitdocError,
  isFitdocError,
  PAGE_SIZE,
  throwIfAborted,
  type DeviceState,
} from '@fitdoc/interface';
import { CHUNK_PAGES } from './guest-memory.js';
import { MockGuest } from './mock-guest.js';

const FORMAT = 'fitdoc-mock-machine-v1';
const CHUNK_BYTES = CHUNK_PAGES * PAGE_SIZE;

/** The contents of PATH.state: all of a machine but its memory, which PATH holds raw. */
interface StateFile {
  readonly format: string;
  readonly id: string;
  readonly name: string;
  readonly pages: number;
  /** Chunks of 2 MiB of the memory file that hold something; the others are holes. */
  readonly chunks: readonly number[];
  readonly devices: readonly { readonly name: string; readonly base64: string }[];
}

/** A machine's files while they are written; nothing is at their place before `finish`. */
export class MachineFileWriter {
  readonly #file: string;
  readonly #suffix = `.${randomUUID()}.tmp`;
  readonly #memory: FileHandle;
  readonly #chunks = new Set<number>();

  private constructor(file: string, suffix: string, memory: FileHandle) {
    this.#file = file;
    this.#suffix = suffix;
    this.#memory = memory;
  }

  /** Errors: ARGUMENT_INVALID when one is there that may not be replaced, RESTORE_FAILED when it cannot be made. */
  static async create(path: string, pages: number, replace = false): Promise<MachineFileWriter> {
    const file = await realpath(path).catch(() => path);
    const suffix = `.${randomUUID()}.tmp`;
    for (const place of [file, `${file}.state`])
      checkOutputPlace(place, await lstat(place).catch(() => undefined), replace);
    try {
      const memory = await open(file + suffix, 'wx', 0o600);
      const writer = new MachineFileWriter(file, suffix, memory);
      await memory.truncate(pages * PAGE_SIZE).catch((error: unknown) => writer.#fail(error));
      return writer;
    } catch (cause) {
      throw writeError(file, cause);
    }
  }

  async write(gfn: number, bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        const part = bytes.subarray(done);
        done += (await this.#memory.write(part, 0, part.length, gfn * PAGE_SIZE + done)).bytesWritten;
      }
    } catch (cause) {
      throw writeError(this.#file, cause);
    }
    const last = gfn + bytes.length / PAGE_SIZE - 1;
    for (let chunk = Math.floor(gfn / CHUNK_PAGES); chunk <= Math.floor(last / CHUNK_PAGES); chunk++) {
      this.#chunks.add(chunk);
    }
  }

  /** Writes the rest, makes both files durable and moves them to their place. */
  async finish(
    guest: Pick<MockGuest, 'id' | 'name'>,
    pages: number,
    state: readonly DeviceState[],
  ): Promise<void> {
    const contents: StateFile = {
      format: FORMAT,
      id: guest.id,
      name: guest.name,
      pages,
      chunks: [...this.#chunks].sort((a, b) => a - b),
      devices: state.map(({ name, bytes }) => ({ name, base64: Buffer.from(bytes).toString('base64') })),
    };
    const stateFile = `${this.#file}.state`;
    try {
      await this.#memory.sync();
      await this.#memory.close();
      const handle = await open(stateFile + this.#suffix, 'wx', 0o600);
      await handle.writeFile(JSON.stringify(contents));
      await handle.sync();
      await handle.close();
      await rename(this.#file + this.#suffix, this.#file);
      await rename(stateFile + this.#suffix, stateFile);
    } catch (cause) {
      await this.abandon();
      throw writeError(this.#file, cause);
    }
  }

  /** Removes what was written. */
  async abandon(): Promise<void> {
    await this.#memory.close().catch(() => undefined);
    await rm(this.#file + this.#suffix, { force: true });
    await rm(`${this.#file}.state${this.#suffix}`, { force: true });
  }

  async #fail(error: unknown): Promise<never> {
    await this.abandon();
    throw error;
  }
}

/** Writes a machine to PATH and PATH.state, in place of what is there: that is what it was loaded from. */
export async function saveMachine(file: string, guest: MockGuest): Promise<void> {
  const { memory } = guest;
  const writer = await MachineFileWriter.create(file, memory.pages, true);
  try {
    for (const chunk of memory.allocatedChunks()) {
      await writer.write(chunk * CHUNK_PAGES, memory.chunkBytes(chunk) as Uint8Array);
    }
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  await writer.finish(guest, memory.pages, guest.saveDevices());
}

/**
 * Reads a machine from PATH and PATH.state. Errors: MACHINE_NOT_FOUND when they are not there, LOCATION_INVALID
 * when they are no machine's, MACHINE_INCOMPATIBLE when another version wrote them.
 */
export async function loadMachine(file: string, signal?: AbortSignal): Promise<MockGuest> {
  const state = await readState(file);
  const devices = state.devices.map(({ name, base64 }) => ({ name, bytes: Buffer.from(base64, 'base64') }));
  const guest = MockGuest.blank(state.name, state.id, devices);
  if (guest.memory.pages !== state.pages)
    throw strange(file, 'its memory has another size than its devices tell');
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const { size } = await handle.stat();
    if (size !== state.pages * PAGE_SIZE) throw strange(file, `it has ${size} bytes`);
    const bytes = new Uint8Array(CHUNK_BYTES);
    for (const chunk of state.chunks) {
      throwIfAborted(signal);
      const { bytesRead } = await handle.read(bytes, 0, CHUNK_BYTES, chunk * CHUNK_BYTES);
      for (let offset = 0; offset < bytesRead; offset += PAGE_SIZE) {
        guest.memory.writePage(
          chunk * CHUNK_PAGES + offset / PAGE_SIZE,
          bytes.subarray(offset, offset + PAGE_SIZE),
        );
      }
    }
  } catch (cause) {
    throw isFitdocError(cause) ? cause : notFound(file, cause);
  } finally {
    await handle?.close();
  }
  guest.filled();
  return guest;
}

async function readState(file: string): Promise<StateFile> {
  let text: string;
  try {
    text = await readFile(`${file}.state`, 'utf8');
  } catch (cause) {
    throw notFound(file, cause);
  }
  let state: Partial<StateFile> | null;
  try {
    state = JSON.parse(text) as Partial<StateFile> | null;
  } catch (cause) {
    throw strange(file, 'its .state file is no JSON', cause);
  }
  if (state?.format !== FORMAT || !Array.isArray(state.chunks) || !Array.isArray(state.devices)) {
    throw strange(file, 'its .state file is not one of a mock machine');
  }
  return state as StateFile;
}

function notFound(file: string, cause: unknown): FitdocError {
  return new FitdocError('MACHINE_NOT_FOUND', `There is no mock machine in "${file}".`, {
    cause,
    hint: 'A machine lies in two files, PATH and PATH.state; a restore to mock:file:PATH makes them.',
  });
}

function strange(file: string, why: string, cause?: unknown): FitdocError {
  return new FitdocError('LOCATION_INVALID', `"${file}" is no mock machine: ${why}.`, {
    cause,
    hint: 'Restore a checkpoint to it again.',
  });
}

function writeError(file: string, cause: unknown): FitdocError {
  if (isFitdocError(cause)) return cause;
  return new FitdocError('RESTORE_FAILED', `The machine could not be written to "${file}".`, {
    cause,
    hint: 'Check that the directory is there, may be written to, and has room.',
  });
}
