import { randomUUID } from 'node:crypto';
import path from 'node:path';
import {
  FitdocError,
  type CallOptions,
  type Hypervisor,
  type Launched,
  type Progress,
} from '@fitdoc/interface';
import { stateOf, type CheckpointEntry, type Repository } from '@fitdoc/repository';
import type { Engine } from '../engine.js';
import { CheckpointSource, type ReadOptions } from '../read/checkpoint-source.js';
import { diskImages } from './disk-images.js';
import { launcherOf } from './launcher.js';
import type { MemoryFiles } from './memory-files.js';

export interface ForkRequest {
  readonly repository: Repository;
  readonly entry: CheckpointEntry;
  readonly hypervisor: Hypervisor;
  readonly count: number;
  /** Where files of main memory are kept. */
  readonly memory: MemoryFiles;
  /** Each fork gets a directory of its own in it, named like it. */
  readonly directory: string;
  /** As LaunchOptions has it; `{n}` in a word becomes the fork's number, `{name}` its name. */
  readonly changed?: readonly string[];
  /** Names begin with it. Default: the machine's name. */
  readonly name?: string;
  /** Number of the first. Default 1. */
  readonly from?: number;
}

/** A machine of its own, which began as a checkpoint of another. It ends with this process until it is released. */
export interface Fork {
  readonly number: number;
  readonly name: string;
  readonly uuid: string;
  readonly launched: Launched;
  /** Network cards whose cable is pulled: two with one address must not meet. */
  readonly cards: readonly string[];
  /** Milliseconds from the start of its hypervisor until its guest ran. */
  readonly runningMs: number;
}

export interface Forked {
  readonly forks: readonly Fork[];
  /** The file of main memory that all of them map. */
  readonly memoryFile: string;
  /** Whether it was made for them. */
  readonly made: boolean;
  /** What people should know, and must change within each guest. */
  readonly notes: readonly string[];
}

/** Forks that are started at a time: on a busy host each waits for its turns, and so few would wait one after the other. */
const AT_ONCE = 10;

/**
 * Starts machines from one checkpoint that share the memory that they do not write. Each has a name, a UUID and a
 * generation of its own, writes its disks to overlays, and runs with its network down. None runs before all can: what
 * runs takes processors from those that are being started. On failure none is left.
 * Errors: ARGUMENT_INVALID, those of Launcher.launch, of reading and of Hypervisor.restore.
 */
export async function fork(engine: Engine, request: ForkRequest, options: ReadOptions = {}): Promise<Forked> {
  const { repository, entry, count } = request;
  if (!Number.isInteger(count) || count < 1)
    throw new FitdocError('ARGUMENT_INVALID', `${count} forks cannot be made.`, {
      hint: 'Ask for 1 or more.',
    });
  launcherOf(request.hypervisor);
  return CheckpointSource.use(engine, repository, entry, options, async (source) => {
    const call = options.signal ? { signal: options.signal } : {};
    const { file, made } = await request.memory.of(source, options);
    const images = isWhole(request.changed ?? [])
      ? []
      : await diskImages(source.disks, path.join(request.directory, 'disks'), options);
    const ready: Ready[] = [];
    const notes = new Set<string>();
    const one = new Forker(request, source, { file, images }, notes);
    try {
      await inTurns(count, AT_ONCE, async (index) => {
        ready.push(await one.prepare(index + (request.from ?? 1), call));
        tell(options.onProgress, ready.length, count);
      });
      const forks = await Promise.all(ready.map((each) => each.run(call)));
      return { forks: forks.sort((a, b) => a.number - b.number), memoryFile: file, made, notes: [...notes] };
    } catch (error) {
      await Promise.all(ready.map(({ launched }) => launched.end()));
      throw error;
    }
  });
}

/** A fork that stands where the checkpoint was taken. */
interface Ready {
  readonly launched: Launched;
  run(call: CallOptions): Promise<Fork>;
}

class Forker {
  /** What they are to the adapter, unless each is told something of its own. */
  readonly #alike: { readonly alike?: object };

  constructor(
    private readonly request: ForkRequest,
    private readonly source: CheckpointSource,
    private readonly files: {
      readonly file: string;
      readonly images: Awaited<ReturnType<typeof diskImages>>;
    },
    private readonly notes: Set<string>,
  ) {
    const differ = request.changed?.some((word) => /\{(n|name)\}/.test(word)) ?? false;
    this.#alike = differ ? {} : { alike: this };
  }

  async prepare(number: number, call: CallOptions): Promise<Ready> {
    const { hypervisor, directory, entry, changed = [] } = this.request;
    const { info } = this.source;
    const name = `${this.request.name ?? info.name}-${number}`;
    const uuid = randomUUID();
    const begun = performance.now();
    const launched = await launcherOf(hypervisor).launch(info, {
      ...call,
      directory: path.join(directory, name.replace(/[^\w.-]/g, '_')),
      changed: changed.map((word) => word.replaceAll('{n}', String(number)).replaceAll('{name}', name)),
      // A whole command is its author's: it tells forks apart by itself.
      ...(isWhole(changed)
        ? {}
        : ({ disks: 'overlays', images: this.files.images, network: 'cut' } as const)),
      identity: {
        ...{ name, uuid, newGenerationId: true },
        origin: { machine: entry.machineId, state: stateOf(entry) },
      },
      memoryFile: this.files.file,
      paused: true,
    });
    try {
      const report = await hypervisor.restore(launched.location, this.source, {
        ...{ ...call, ...this.#alike },
        memoryFile: this.files.file,
      });
      for (const note of report.notes) this.notes.add(note);
      const cards = await launched.setLinks(false, call);
      const run = async (more: CallOptions): Promise<Fork> => {
        await launched.run(more);
        return { number, name, uuid, launched, cards, runningMs: performance.now() - begun };
      };
      return { launched, run };
    } catch (error) {
      await launched.end();
      throw error;
    }
  }
}

function isWhole([first]: readonly string[]): boolean {
  return first !== undefined && !first.startsWith('-');
}

function tell(onProgress: ((progress: Progress) => void) | undefined, done: number, total: number): void {
  onProgress?.({ phase: 'starting forks', done, total, unit: 'machines' });
}

/** Does work for 0 to `count` - 1, some at a time; after a failure nothing new begins, and what was begun is awaited. */
async function inTurns(count: number, atOnce: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (next < count && !failure) await work(next++).catch((error: unknown) => (failure ??= { error }));
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
  if (failure) throw failure.error;
}
