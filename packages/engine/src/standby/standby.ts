import { FitdocError, isFitdocError, throwIfAborted, type CallOptions } from '@fitdoc/interface';
import {
  isIntact,
  Lineage,
  stateOf,
  type CheckpointEntry,
  type Lease,
  type Repository,
} from '@fitdoc/repository';
import type { Engine } from '../engine.js';
import { CheckpointSource } from '../read/checkpoint-source.js';
import { openLinks } from '../read/replay.js';
import { StandbyFiles } from './files.js';
import {
  keepState,
  readJournal,
  readState,
  startedBefore,
  thisBoot,
  writeJournal,
  writeState,
  type Journal,
  type StandbyPoint,
  type StateRecord,
} from './journal.js';
import { newestStates, sameLayout, wayBetween } from './way.js';
import { withoutCutOff } from './withdraw.js';

/** Often enough for any luck: each attempt looks at what is there anew. */
const ATTEMPTS = 8;
/** Bytes that reading all of a state may take beside the files. */
const READ_MEMORY = 256 << 20;
/** Between two times that what is kept in place for us is moved on, milliseconds. */
const HOLD_MS = 10_000;

export interface StandbyRequest {
  readonly repository: Repository;
  /** Where the repository is, as whoever promotes finds it again. */
  readonly location: string;
  /** Id of the machine. */
  readonly machine: string;
  readonly directory: string;
}

/** What bringing a standby forward took. */
export interface StandbyStep {
  readonly entry: CheckpointEntry;
  /** The state that is ready now. */
  readonly point: StandbyPoint;
  /** Whether all of the memory was read anew: at first, after a new base, or where no increments lead there. */
  readonly full: boolean;
  /** Objects that were read. */
  readonly objects: number;
  /** Pages that were written. */
  readonly pages: number;
  readonly ms: number;
}

/**
 * A machine's newest state in files that a machine can be started from at once. The repository is the truth: at every
 * moment the directory tells which state the files hold, or that they hold none, and what cannot be gone on with is read
 * anew. Who uses it holds the directory (`holdDirectory`).
 */
export class Standby {
  readonly #engine: Engine;
  readonly #request: StandbyRequest;
  readonly #files: StandbyFiles;
  #journal: Journal;
  #record: StateRecord | undefined;
  /** States that could not be read, while they are the newest. */
  readonly #unreadable = new Map<string, FitdocError>();
  #lease: { readonly lease: Lease; readonly atMs: number } | undefined;

  private constructor(
    engine: Engine,
    request: StandbyRequest,
    files: StandbyFiles,
    journal: Journal,
    record: StateRecord | undefined,
  ) {
    this.#engine = engine;
    this.#request = request;
    this.#files = files;
    this.#journal = journal;
    this.#record = record;
  }

  /**
   * Errors: ARGUMENT_INVALID (another machine's directory, or one whose machine was started from it), CONFIG_INVALID,
   * CAPABILITY_MISSING (a store of which none could be promoted), STORE_*.
   */
  static async open(engine: Engine, request: StandbyRequest): Promise<Standby> {
    const { directory, repository, machine, location } = request;
    repository.takeovers.check();
    const found = await readJournal(directory);
    if (found) checkUse(found, request);
    const journal: Journal = found
      ? {
          ...trusted(await withoutCutOff(found, repository, directory)),
          repository: { id: repository.config.id, location },
        }
      : { version: 1, repository: { id: repository.config.id, location }, machine, boot: thisBoot() ?? '' };
    const record = journal.at && (await readState(directory, journal.at.state));
    const files = await StandbyFiles.open(directory);
    if (record && (await files.fit(record.info))) return new Standby(engine, request, files, journal, record);
    return new Standby(engine, request, files, emptied(journal), undefined);
  }

  /** The state that is ready; undefined while there is none, or a newer one is half written. */
  get ready(): StandbyPoint | undefined {
    return this.#journal.going === undefined ? this.#journal.at : undefined;
  }

  get journal(): Journal {
    return this.#journal;
  }

  get files(): StandbyFiles {
    return this.#files;
  }

  /** What the machine is in the state that is ready. */
  get record(): StateRecord | undefined {
    return this.ready && this.#record;
  }

  /**
   * Brings the files to the newest state that can be read; undefined where they hold it. Errors: ABORTED; those of
   * reading (the files hold what they held, or go on next time), STORE_FULL.
   */
  async advance(options: CallOptions = {}): Promise<StandbyStep | undefined> {
    for (let attempt = 1; ; attempt++) {
      throwIfAborted(options.signal);
      const lineage = await this.#lineage(options);
      const target = newestStates(lineage).find((entry) => !this.#unreadable.has(stateOf(entry)));
      if (!target) throw this.#nothing();
      if (this.ready && this.#isBehind(lineage, target, this.ready)) return undefined;
      try {
        return await this.#bring(lineage, target, options);
      } catch (error) {
        if (!isFitdocError(error)) throw error;
        const gone = error.code === 'STORE_NOT_FOUND' || error.code === 'CHECKPOINT_NOT_FOUND';
        if (gone && attempt < ATTEMPTS) continue;
        if (!/^(FORMAT|CODEC)/.test(error.code)) throw error;
        // The one before it will do, where what there is now cannot be kept.
        this.#unreadable.set(stateOf(target), error);
        if (this.ready) throw error;
      }
    }
  }

  /** Notes what becomes of it. */
  async note(more: Partial<Journal>): Promise<void> {
    this.#journal = { ...this.#journal, ...more };
    await writeJournal(this.#request.directory, this.#journal);
  }

  /** Ends the use of the directory. With `settle` all is on the disk: it is believed after the host was started anew. */
  async close({ settle = false }: { readonly settle?: boolean } = {}): Promise<void> {
    try {
      if (settle && this.ready) {
        await this.#files.sync();
        await this.note({ settled: true });
      }
    } finally {
      await this.#lease?.lease.release();
      await this.#files.close();
    }
  }

  async #lineage(options: CallOptions): Promise<Lineage> {
    const { repository, machine } = this.#request;
    const call = options.signal ? { signal: options.signal } : {};
    return new Lineage((await repository.objects({ machine, ...call })).filter(isIntact));
  }

  async #bring(lineage: Lineage, target: CheckpointEntry, options: CallOptions): Promise<StandbyStep> {
    const begun = performance.now();
    const way = this.#wayTo(lineage, target);
    const full = way === undefined;
    const done = full ? await this.#fill(target, options) : await this.#follow(way.path, way.until, options);
    this.#unreadable.clear();
    await this.#hold(target, options);
    return { entry: target, point: this.ready!, full, ...done, ms: performance.now() - begun };
  }

  /** Whether there is nothing newer. From a state whose successor cannot be read nothing leads back. */
  #isBehind(lineage: Lineage, target: CheckpointEntry, ready: StandbyPoint): boolean {
    if (lineage.nameOf(ready.state) === lineage.stateOf(target)) return true;
    return this.#unreadable.size > 0 && target.sequence < ready.sequence;
  }

  /**
   * Over the state that is half written, where there is one: else its pages would stay. The files hold one state again
   * after the first `until` objects of the path.
   */
  #wayTo(lineage: Lineage, target: CheckpointEntry): Way | undefined {
    const { at, going } = this.#journal;
    if (!at) return undefined;
    const first = going === undefined ? [] : wayBetween(lineage, at.state, going);
    const then = first && wayBetween(lineage, going ?? at.state, stateOf(target));
    return then && { path: [...first, ...then], until: first.length };
  }

  async #fill(target: CheckpointEntry, options: CallOptions) {
    const { repository } = this.#request;
    const reading = { ...options, memory: READ_MEMORY };
    return CheckpointSource.use(this.#engine, repository, target, reading, async (source) => {
      await this.#begin({ at: undefined, going: undefined });
      const pages = await this.#files.fill(source, options);
      const { info, deviceState, disks, chainLength } = source;
      await this.#commit(target, { info, deviceState, disks: disks.length });
      return { objects: chainLength, pages };
    });
  }

  async #follow(way: readonly CheckpointEntry[], until: number, options: CallOptions) {
    const { repository } = this.#request;
    const call = options.signal ? { signal: options.signal } : {};
    const lease = way.length > 0 && (await repository.hold(way, 'standby', { ...call, evenIfFull: true }));
    let pages = 0;
    // What was being written is what is there, by another name.
    if (way.length === 0) await this.note({ going: undefined });
    try {
      for (const [index, link] of (await openLinks(repository, way, call)).entries()) {
        const before = this.#record!;
        const { machine: info } = link.reader.header;
        if (!sameLayout(before.info, info)) return await this.#fill(way.at(-1)!, options);
        const deviceState = await link.reader.readDeviceState(() => Promise.resolve(before.deviceState));
        const going = index < until ? this.#journal.going : stateOf(link.entry);
        pages += await this.#files.patch(link, this.#engine.pool, () => this.#begin({ going }), call);
        const record = { info, deviceState, disks: link.reader.disks.length };
        await this.#commit(link.entry, record, index + 1 < until ? going : undefined);
      }
    } finally {
      if (lease) await lease.release();
    }
    return { objects: way.length, pages };
  }

  async #begin(state: { readonly going: string | undefined; readonly at?: undefined }): Promise<void> {
    await this.note({ ...state, settled: undefined, boot: thisBoot() ?? '' });
  }

  /** The files hold the state of `entry`; with `going`, and some pages of that one still. */
  async #commit(entry: CheckpointEntry, record: StateRecord, going?: string): Promise<void> {
    const { directory } = this.#request;
    const state = stateOf(entry);
    await writeState(directory, state, record);
    const { id, scheme, sequence, capturedAtMs } = entry;
    this.#record = record;
    await this.note({ at: { state, id, scheme, sequence, capturedAtMs }, going });
    await keepState(directory, state);
  }

  /** So that increments lead from here to what comes: without it no more than time is lost. */
  async #hold(entry: CheckpointEntry, { signal }: CallOptions): Promise<void> {
    const { repository } = this.#request;
    if (this.#lease && performance.now() - this.#lease.atMs < HOLD_MS) return;
    const before = this.#lease?.lease;
    const how = { ...(signal && { signal }), from: entry.sequence, evenIfFull: true, waitMs: 0 };
    const lease = await repository.hold([entry], 'standby', how).catch(() => undefined);
    this.#lease = lease && { lease, atMs: performance.now() };
    await before?.release();
  }

  #nothing(): FitdocError {
    const [first] = this.#unreadable.values();
    if (first) {
      this.#unreadable.clear();
      return first;
    }
    const { machine } = this.#request;
    return new FitdocError(
      'CHECKPOINT_NOT_FOUND',
      `The repository has no checkpoint of ${machine} that can be read.`,
      {
        retryable: true,
        hint: 'Protect it first: fitdoc watch.',
      },
    );
  }
}

interface Way {
  readonly path: readonly CheckpointEntry[];
  readonly until: number;
}

function checkUse(journal: Journal, request: StandbyRequest): void {
  const { directory } = request;
  const { repository, machine, promotion } = journal;
  if (repository.id !== request.repository.config.id || machine !== request.machine) {
    throw new FitdocError(
      'ARGUMENT_INVALID',
      `${directory} is the standby of ${machine} in ${repository.location}.`,
      {
        hint: 'Name another directory for this one.',
      },
    );
  }
  if (promotion?.pid !== undefined) throw startedBefore(directory, journal);
}

/** What is known of files that may not have reached the disk before the host was started anew: nothing. */
function trusted(journal: Journal): Journal {
  const boot = thisBoot();
  if (journal.settled === true || (boot !== undefined && journal.boot === boot)) return journal;
  return emptied(journal);
}

/** That of files that hold no state. */
function emptied(journal: Journal): Journal {
  return { ...journal, at: undefined, going: undefined };
}
