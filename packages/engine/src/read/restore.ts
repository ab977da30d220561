import {
  FitdocError,
  type Hypervisor,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { askedBefore, rememberAsked } from './asked-order.js';
import { CheckpointSource, type ReadOptions } from './checkpoint-source.js';
import type { Engine } from '../engine.js';
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
  /** Hold all that will be read against its checksums before anything is touched. Default false. */
  readonly verifyFirst?: boolean;
}

/**
 * Brings a machine back to a checkpoint. The adapter compares the target with the checkpoint before the first
 * page is read; what is read stays in place until all of it was handed over, however long the guest has run by then.
 * Errors: those of CheckpointSource.use and of Hypervisor.restore, CAPABILITY_MISSING (nothing can be resumed there).
 */
export async function restore(
  engine: Engine,
  request: RestoreRequest,
  options: ReadOptions & RestoreOptions = {},
): Promise<RestoreReport> {
  const { repository, entry, hypervisor, location, also, resume = false, verifyFirst = false } = request;
  const call = options.signal ? { signal: options.signal } : {};
  const { machineId } = entry;
  // Beside the opening of the chain, so that nothing waits for it.
  const asked = hypervisor.resume && askedBefore(repository, machineId, entry.memoryPages, call);
  const send = async (source: RestoreSource): Promise<RestoreReport> => {
    const first = options.first ?? (await asked) ?? [];
    if (!resume) return hypervisor.restore(location, source, { ...options, first });
    if (hypervisor.resume) return hypervisor.resume(location, source, { ...options, first });
    throw new FitdocError('CAPABILITY_MISSING', `A restore to ${hypervisor.scheme}: cannot be resumed.`, {
      hint: 'Restore anew: no guest runs there before all of its memory is loaded.',
    });
  };
  const bring = async (source: RestoreSource): Promise<RestoreReport> => {
    const report = await send(source);
    await rememberAsked(repository, machineId, report.lazy?.asked ?? [], call).catch(() => undefined);
    return report;
  };
  return CheckpointSource.use(engine, repository, entry, options, async (source) => {
    if (!also) {
      if (verifyFirst) await source.verify(options);
      return bring(source);
    }
    return CheckpointSource.use(engine, also.repository, also.entry, options, async (other) => {
      // What one of them lacks the other has to have; which pages those are shows when they are read.
      if (verifyFirst) await source.verify(options).catch(() => other.verify(options));
      return bring(withSecondCopy(source, other));
    });
  });
}
