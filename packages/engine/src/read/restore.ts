import {
  FitdocError,
  type Hypervisor,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import { isNear, type CheckpointEntry, type Repository } from '@fitdoc/repository';
import { askedBefore, rememberAsked } from './asked-order.js';
import { CheckpointSource, type ReadOptions } from './checkpoint-source.js';
import type { Engine } from '../engine.js';
import { readAhead } from './read-ahead.js';
import { withSecondCopy } from './second-copy.js';

export interface RestoreRequest {
  readonly repository: Repository;
  readonly entry: CheckpointEntry;
  readonly hypervisor: Hypervisor;
  /** What follows the scheme: where the machine is brought back. */
  readonly location: string;
  /** Another copy of the checkpoint, for pages of the first that cannot be read. */
  readonly also?: { readonly repository: Repository; readonly entry: CheckpointEntry };
  /** Go on with a restore whose guest runs already; see Hypervisor.resume. */
  readonly resume?: boolean;
  /**
   * Whether a guest may run before its memory is there: `true` refuses where it cannot. `auto` lets it where it can and
   * all was verified before or could be at little cost, so from a store that is near; else all of the memory is loaded
   * first, and a note says why. Default: what the adapter does by itself.
   */
  readonly lazy?: boolean | 'auto';
  /**
   * Hold all that will be read against its checksums before anything is touched; `lazy`: only where the guest is about to
   * run before its memory is there. Default: `lazy` where `lazy` is asked for and the store is near, else false.
   */
  readonly verifyFirst?: boolean | 'lazy';
}

/**
 * Brings a machine back to a checkpoint. The adapter compares the target with the checkpoint before the first
 * page is read; what is read stays in place until all of it was handed over, however long the guest has run by then.
 * Errors: those of CheckpointSource.use and of Hypervisor.restore, CAPABILITY_MISSING (no guest runs there before its
 * memory is there, nothing can be resumed).
 */
export async function restore(
  engine: Engine,
  request: RestoreRequest,
  options: ReadOptions & RestoreOptions = {},
): Promise<RestoreReport> {
  const { repository, entry, hypervisor, location, also, resume = false } = request;
  const config = configOf(request, options.config);
  const verifies = verifyFirst(request);
  const call = options.signal ? { signal: options.signal } : {};
  const { machineId } = entry;
  // Beside the opening of the chain, so that nothing waits for it.
  const asked = hypervisor.resume && askedBefore(repository, machineId, entry.memoryPages, call);
  const send = async (source: RestoreSource, verify: Verify): Promise<RestoreReport> => {
    const first = options.first ?? (await asked) ?? [];
    const beforeLazy = () => whyNotLazily(request, verifies === 'lazy' ? verify : undefined);
    const all = { beforeLazy, ...options, first, config };
    if (verifies === true) await verify();
    if (!resume) {
      const ahead = mayBeLazy(request) && source.random ? readAhead(source.random, first) : undefined;
      return hypervisor.restore(location, source, all).finally(() => ahead?.end());
    }
    if (hypervisor.resume) return hypervisor.resume(location, source, all);
    throw new FitdocError('CAPABILITY_MISSING', `A restore to ${hypervisor.scheme}: cannot be resumed.`, {
      hint: 'Restore anew: no guest runs there before all of its memory is loaded.',
    });
  };
  const bring = async (source: RestoreSource, verify: Verify): Promise<RestoreReport> => {
    const report = await send(source, verify);
    await rememberAsked(repository, machineId, report.lazy?.asked ?? [], call).catch(() => undefined);
    return report;
  };
  return CheckpointSource.use(engine, repository, entry, options, async (source) => {
    if (!also) return bring(source, () => source.verify(options));
    return CheckpointSource.use(engine, also.repository, also.entry, options, async (other) => {
      // What one of them lacks the other has to have; which pages those are shows when they are read.
      const verify = () => source.verify(options).catch(() => other.verify(options));
      return bring(withSecondCopy(source, other), verify);
    });
  });
}

type Verify = () => Promise<void>;

function verifyFirst({ verifyFirst: given, lazy = false, repository }: RestoreRequest): boolean | 'lazy' {
  return given ?? (lazy !== false && isNear(repository.store.location) ? 'lazy' : false);
}

/** With the wish for a guest that runs first, where the adapter knows of such. */
function configOf(
  { lazy, hypervisor }: RestoreRequest,
  config: RestoreOptions['config'],
): Readonly<Record<string, unknown>> {
  if (lazy === undefined) return config ?? {};
  if (hypervisor.resume) return { ...config, lazy };
  if (lazy !== true) return config ?? {};
  throw new FitdocError(
    'CAPABILITY_MISSING',
    `No guest of ${hypervisor.scheme}: runs before its memory is there.`,
    { hint: 'Load all of the memory first: restore without lazy.' },
  );
}

/** Whether a guest runs before its memory is there unless its hypervisor has something against it. */
function mayBeLazy({ lazy = false, hypervisor, repository }: RestoreRequest): boolean {
  if (lazy === 'auto' && !isNear(repository.store.location)) return false;
  return lazy !== false && hypervisor.resume !== undefined;
}

/**
 * Why a guest shall not run before its memory is there, though it could. From a store that is far, `auto` lets none: all of
 * it is too much to be read twice, and what turns out to be damaged, or not to come, when the guest has written to its
 * disks already would leave it with disks of a time that no checkpoint has.
 */
async function whyNotLazily(
  { lazy, repository }: RestoreRequest,
  verify: Verify | undefined,
): Promise<string | undefined> {
  if (lazy === 'auto' && !isNear(repository.store.location))
    return 'its repository is not on this host, and what fails to come from there would leave a running guest waiting (--lazy lets it run at once all the same)';
  await verify?.();
  return undefined;
}
