import { isFitdocError } from '@fitdoc/interface';
import { Repository } from '@fitdoc/repository';
import type { CaptureOptions } from './machine.js';
import type { Session } from './session.js';

/** Opens the repository that a capture writes to; `--init` makes it where it is missing. */
export async function openForCapture(session: Session, options: CaptureOptions): Promise<Repository> {
  if (!options.init) return session.repository(options);
  const store = await session.store(options, true);
  try {
    return await Repository.open(store);
  } catch (error) {
    if (!isFitdocError(error, 'REPOSITORY_NOT_FOUND')) throw error;
    return Repository.init(store);
  }
}
