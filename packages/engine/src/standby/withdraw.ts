import type { Repository } from '@fitdoc/repository';
import { writeJournal, type Journal } from './journal.js';

/**
 * Undoes a takeover after which no guest ran, where it is there: it may be so though its taking failed, when the answer was
 * lost, say. Errors: the store's; then it may still be there.
 */
export async function withdrawTakeover(
  { takeovers }: Repository,
  machine: string,
  token: string,
): Promise<void> {
  const last = await takeovers.latest(machine);
  if (last?.token === token) await takeovers.withdraw(machine, last);
}

/** Undoes a promotion that was cut off before its guest was told of: with the process that began it the machine ended. */
export async function withoutCutOff(
  journal: Journal,
  repository: Repository,
  directory: string,
): Promise<Journal> {
  const { machine, promotion } = journal;
  if (!promotion || promotion.pid !== undefined) return journal;
  await withdrawTakeover(repository, machine, promotion.token);
  const undone = { ...journal, promotion: undefined };
  await writeJournal(directory, undone);
  return undone;
}
