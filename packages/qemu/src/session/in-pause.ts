import { FitdocError } from '@fitdoc/interface';

/** What is done about the pause of a capture, by those to whom it matters that the guest stands. */
export interface InPause {
  /** Right before an increment's pause: what need not wait for it. */
  readonly before?: (signal: AbortSignal) => Promise<void>;
  /**
   * From when the guest's CPUs stand. QEMU may yet have to write out what the guest wrote, before which it answers
   * nothing. `signal`: the guest goes on without.
   */
  readonly standing?: (signal: AbortSignal) => Promise<void>;
  /** When all that the guest wrote is written out. */
  readonly still?: () => Promise<void>;
}

/** How long QEMU may take for what `standing` asks of it once it can answer, milliseconds. */
const STANDING_MS = 2000;

/** Does what is to be done while a guest stands that nothing but our word lets run. */
export async function whileStanding({ standing, still }: InPause): Promise<void> {
  await Promise.all([still?.(), standing?.(AbortSignal.timeout(STANDING_MS))]);
}

/**
 * The same beside an increment that QEMU writes: settles when QEMU may let the guest run. `stops` settles when the
 * guest's CPUs stand, `read` when all of the increment has been read.
 */
export async function whileWritten(
  { standing, still }: InPause,
  stops: Promise<unknown>,
  read: Promise<unknown>,
): Promise<void> {
  // A guest that somebody stopped before tells of no stop. QEMU is asked as soon as can be: it writes meanwhile.
  const asked = standing && Promise.race([stops, read]).then(async () => onceAnswering(read, standing));
  let failed = false;
  asked?.catch(() => (failed = true));
  // After a failure the guest is let go on at once, so that it may run by then.
  const then = still && read.then(async () => (failed ? undefined : still()));
  await Promise.all([asked, then]);
}

/** QEMU answers again, at the latest, when all is `read`. */
async function onceAnswering(
  read: Promise<unknown>,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const answers = (): void => {
    if (!over) timer = setTimeout(() => late.abort(), STANDING_MS);
  };
  read.then(answers, answers);
  try {
    await work(late.signal);
  } finally {
    over = true;
    clearTimeout(timer);
  }
}

/** CAPTURE_FAILED for a guest that ran between what was done as its CPUs stood and the pause of its memory. */
export function ranBetween(): FitdocError {
  return new FitdocError('CAPTURE_FAILED', 'The guest ran between the moments of its disks and its memory.', {
    hint: 'Somebody stopped it as the capture began, and let it run again. The next capture starts over with a full one.',
    retryable: true,
  });
}
