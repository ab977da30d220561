import {
  isFitdocError,
  type Launched,
  type LaunchOptions,
  type RestoreOptions,
  type RestoreReport,
} from '@fitdoc/interface';
import type { ReadOptions } from '../read/checkpoint-source.js';
import { restore, type RestoreRequest } from '../read/restore.js';
import type { Engine } from '../engine.js';
import { launcherOf } from './launcher.js';

export interface StartRequest extends Omit<RestoreRequest, 'location' | 'resume'> {
  readonly launch: Omit<LaunchOptions, 'signal'>;
  /** Told when the machine waits, and where: from then on its memory can be sent. */
  readonly onLaunched?: (launched: Launched) => void;
}

export interface Started {
  /** It ends with this process until it is released. */
  readonly launched: Launched;
  readonly report: RestoreReport;
}

/**
 * Starts a machine as its checkpoint has it recorded, changed as asked, and brings it back. On failure nothing of it is
 * left, unless its guest runs already (`details.running`): then it was released. Errors: those of Launcher.launch and
 * of `restore`, CAPABILITY_MISSING.
 */
export async function start(
  engine: Engine,
  { launch, onLaunched, ...request }: StartRequest,
  options: ReadOptions & RestoreOptions = {},
): Promise<Started> {
  const { repository, entry, hypervisor } = request;
  const call = options.signal ? { signal: options.signal } : {};
  const { header } = await repository.openCheckpoint(entry, call);
  const launched = await launcherOf(hypervisor).launch(header.machine, { ...launch, ...call });
  onLaunched?.(launched);
  try {
    const report = await restore(engine, { ...request, location: launched.location }, options);
    return { launched, report };
  } catch (error) {
    const runs = isFitdocError(error) && error.details['running'] === true && !launched.gone.aborted;
    await (runs ? launched.release() : launched.end());
    throw error;
  }
}
