import type { Hypervisor, RestoreOptions, RestoreReport } from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { CheckpointSource, type ReadOptions } from './checkpoint-source.js';
import type { Engine } from './engine.js';

export interface RestoreRequest {
  readonly repository: Repository;
  readonly entry: CheckpointEntry;
  readonly hypervisor: Hypervisor;
  /** What follows the scheme: where the machine is brought back. */
  readonly location: string;
}

/**
 * Brings a machine back to a checkpoint. The adapter compares the target with the checkpoint before the first
 * page is read. Errors: those of CheckpointSource.use and of Hypervisor.restore.
 */
export async function restore(
  engine: Engine,
  request: RestoreRequest,
  options: ReadOptions & RestoreOptions = {},
): Promise<RestoreReport> {
  const { repository, entry, hypervisor, location } = request;
  return CheckpointSource.use(engine, repository, entry, options, (source) =>
    hypervisor.restore(location, source, options),
  );
}
