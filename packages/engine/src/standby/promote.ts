import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import {
  FitdocError,
  isFitdocError,
  type CallOptions,
  type DiskImage,
  type Hypervisor,
  type Launched,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import type { Repository, ShownWriter, Takeover } from '@fitdoc/repository';
import type { Engine } from '../engine.js';
import { diskImages } from '../launch/disk-images.js';
import { launcherOf } from '../launch/launcher.js';
import { CheckpointSource } from '../read/checkpoint-source.js';
import { holdDirectory } from './holder.js';
import {
  readJournal,
  startedBefore,
  thisBoot,
  writeJournal,
  type Journal,
  type StandbyPoint,
  type StateRecord,
} from './journal.js';
import { Standby } from './standby.js';
import { withdrawTakeover } from './withdraw.js';

export interface PromoteRequest {
  readonly repository: Repository;
  readonly location: string;
  readonly hypervisor: Hypervisor;
  /** Of a standby. */
  readonly directory: string;
  /** As LaunchOptions has it. */
  readonly changed?: readonly string[];
  /** Though another took the machine over, from which this standby does not go on: that one is gone for good. */
  readonly again?: boolean;
  /** Start from what the directory holds, though the repository may hold something newer. */
  readonly asItIs?: boolean;
}

export interface Promoted {
  readonly point: StandbyPoint;
  /** It ends with this process until it is released. */
  readonly launched: Launched;
  readonly report: RestoreReport;
  readonly takeover: Takeover;
  /** Who wrote the machine's chain until now, and gave a sign of life lately: the guest may still run there. */
  readonly before: readonly ShownWriter[];
  /** Milliseconds until the directory held the newest state, and from then on until the guest ran. */
  readonly advancedMs: number;
  readonly runningMs: number;
}

/**
 * Starts the machine of a standby from its files, in place of the one that was protected: in the repository it is written
 * that the machine goes on here, which only one can write, and after which nobody else writes the machine's chain. On failure
 * that is undone and nothing runs. Errors: MACHINE_CONFLICT (another took it over), MACHINE_BUSY, ARGUMENT_INVALID (no
 * standby, or started already), those of Standby.advance, Launcher.launch and Hypervisor.restore.
 */
export async function promote(
  engine: Engine,
  request: PromoteRequest,
  options: CallOptions = {},
): Promise<Promoted> {
  const { directory, repository, location } = request;
  launcherOf(request.hypervisor);
  await standbyIn(directory);
  const release = await holdDirectory(directory, 'promote', options);
  try {
    const { machine } = await clearedOf(request);
    const standby = await Standby.open(engine, { repository, location, machine, directory });
    try {
      return await new Promoter(engine, request, standby, machine).run(options);
    } finally {
      await standby.close();
    }
  } finally {
    await release();
  }
}

/** What a directory says of itself. ARGUMENT_INVALID where it is none of a standby. */
export async function standbyIn(directory: string): Promise<Journal> {
  const journal = await readJournal(directory);
  if (journal) return journal;
  throw new FitdocError('ARGUMENT_INVALID', `${directory} is no standby.`, {
    hint: 'Make one with: fitdoc standby REPOSITORY MACHINE --dir DIRECTORY.',
  });
}

/** The scheme of the hypervisor that can start what a standby holds, or will. Errors: CHECKPOINT_NOT_FOUND; the store's. */
export async function schemeOf(
  { at, machine }: Journal,
  repository: Repository,
  { signal }: CallOptions = {},
): Promise<string> {
  if (at) return at.scheme;
  return (await repository.resolve('latest', { machine, ...(signal && { signal }) })).scheme;
}

/**
 * What a directory says of itself, made one to promote from again where that is asked for and its machine has ended.
 * ARGUMENT_INVALID where the machine runs, or has run, and it is not said that it is to be started again.
 */
async function clearedOf({ directory, again = false }: PromoteRequest): Promise<Journal> {
  const journal = await standbyIn(directory);
  const { promotion } = journal;
  if (promotion?.pid === undefined) return journal;
  if (!again || isAlive(promotion.pid, promotion.boot)) throw startedBefore(directory, journal);
  const cleared = { ...journal, promotion: undefined };
  await writeJournal(directory, cleared);
  return cleared;
}

function isAlive(pid: number, boot = thisBoot()): boolean {
  if (boot !== thisBoot()) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

class Promoter {
  constructor(
    private readonly engine: Engine,
    private readonly request: PromoteRequest,
    private readonly standby: Standby,
    private readonly machine: string,
  ) {}

  async run(options: CallOptions): Promise<Promoted> {
    const call = options.signal ? { signal: options.signal } : {};
    const { repository, asItIs = false } = this.request;
    const begun = performance.now();
    // Each waits for the store. Who takes over after this look makes our own takeover fail.
    const [brought, lastly, written] = await Promise.allSettled([
      asItIs && this.standby.ready ? undefined : this.standby.advance(options),
      repository.takeovers.latest(this.machine, call),
      repository.writers(this.machine, call),
    ]);
    valueOf(brought);
    const [last, before] = [valueOf(lastly), valueOf(written)];
    const { ready: point, record } = this.standby;
    if (!point || !record) throw new FitdocError('CHECKPOINT_NOT_FOUND', 'The standby holds no state yet.');
    const advancedMs = performance.now() - begun;
    this.#checkLine(record, last);
    const images = await this.#images(point, record, options);
    const token = randomBytes(16).toString('hex');
    await rm(path.join(this.request.directory, 'machine'), { recursive: true, force: true });
    // From here on the files are the machine's, whatever becomes of this process.
    await this.standby.note({ promotion: { token, atMs: Date.now() } });
    const started = performance.now();
    const taking = repository.takeovers.take(
      this.machine,
      { ...this.#takeover(point, token), after: last },
      call,
    );
    const launching = this.#launch(point, record, images, call);
    const [taken, launched] = await Promise.allSettled([taking, launching]);
    try {
      const machine = valueOf(launched);
      const takeover = valueOf(taken);
      const report = await this.#restore(machine, record, options);
      const runningMs = performance.now() - started;
      await this.standby.note({ promotion: this.#promotion(token, machine) });
      return { point, launched: machine, report, takeover, before, advancedMs, runningMs };
    } catch (error) {
      throw await this.#undo(error, token, launched);
    }
  }

  /** Two may follow one machine; after one was started, only what was captured of that one is its state. */
  #checkLine({ info }: StateRecord, last: Takeover | undefined): void {
    if (last?.state === undefined || this.request.again) return;
    if (info.origin?.machine === this.machine && info.origin.state === last.state) return;
    throw new FitdocError(
      'MACHINE_CONFLICT',
      `${this.machine} was taken over: since ${new Date(last.atMs).toISOString()} it goes on at ${last.place}.`,
      {
        hint: 'If that one is gone for good, start this one all the same: --again. What it did since then is not in here.',
        details: { machine: this.machine, takeover: { ...last } },
      },
    );
  }

  #takeover({ state }: StandbyPoint, token: string) {
    return { state, token, place: `${hostname()}:${path.resolve(this.request.directory)}` };
  }

  #promotion(token: string, { location, pid }: Launched) {
    const where = `${this.request.hypervisor.scheme}:${location}`;
    return { token, atMs: Date.now(), location: where, pid, boot: thisBoot() };
  }

  /** Disks come from the repository: only memory is kept ready. */
  async #images(point: StandbyPoint, record: StateRecord, options: CallOptions): Promise<DiskImage[]> {
    if (record.disks === 0) return [];
    const { repository, directory } = this.request;
    const entry = await repository.resolve(point.id, { machine: this.machine });
    return CheckpointSource.use(this.engine, repository, entry, options, (source) =>
      diskImages(source.disks, path.join(directory, 'disks'), options),
    );
  }

  #launch(
    { state }: StandbyPoint,
    { info }: StateRecord,
    images: readonly DiskImage[],
    call: CallOptions,
  ): Promise<Launched> {
    const { hypervisor, directory, changed = [] } = this.request;
    return launcherOf(hypervisor).launch(info, {
      ...call,
      ...{ directory: path.join(path.resolve(directory), 'machine'), changed, images },
      identity: { origin: { machine: this.machine, state } },
      memoryFile: path.resolve(this.standby.files.memoryFile),
    });
  }

  #restore(launched: Launched, record: StateRecord, options: CallOptions): Promise<RestoreReport> {
    const { files } = this.standby;
    const { info, deviceState } = record;
    const source: RestoreSource = {
      ...{ info, deviceState },
      pages: ({ regions } = {}) =>
        files.pages(
          info,
          info.regions.filter(({ name }) => regions?.includes(name) ?? true),
        ),
    };
    const memoryFile = path.resolve(files.memoryFile);
    return this.request.hypervisor.restore(launched.location, source, { ...options, memoryFile });
  }

  /** Gives the error to throw. A guest that runs stays what it is: the machine. */
  async #undo(error: unknown, token: string, launched: PromiseSettledResult<Launched>): Promise<unknown> {
    if (launched.status === 'fulfilled') {
      const machine = launched.value;
      if (isFitdocError(error) && error.details['running'] === true) {
        await this.standby.note({ promotion: this.#promotion(token, machine) });
        await machine.release();
        return error;
      }
      await machine.end();
    }
    // While it may be there, the directory knows of it: whoever works in it next undoes it.
    const undone = await withdrawTakeover(this.request.repository, this.machine, token).then(
      () => true,
      () => false,
    );
    if (undone) await this.standby.note({ promotion: undefined });
    return error;
  }
}

function valueOf<Value>(result: PromiseSettledResult<Value>): Value {
  if (result.status === 'fulfilled') return result.value;
  throw result.reason;
}
