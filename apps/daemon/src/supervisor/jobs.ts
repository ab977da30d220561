import { randomUUID } from 'node:crypto';
import { FitdocError, type Progress } from '@fitdoc/interface';
import type { JobKind, JobState, JobStatus } from '../model.js';
import { steadyNow } from './steady-clock.js';
import { problemOf } from './problem.js';
import { Semaphore } from './semaphore.js';

/** Ended jobs that are remembered. */
const REMEMBERED = 200;
/** Jobs that wait or run at a time, before further ones are refused: memory must not grow with requests. */
const MOST_OPEN = 200;
/** Restores, verifications and prunes that run at a time; checkpoints have a limit of their own, a promotion waits for none. */
const HEAVY_AT_A_TIME = 2;
/** Milliseconds between two announcements of a job's progress. */
const PROGRESS_EVERY_MS = 250;

export interface JobContext {
  readonly signal: AbortSignal;
  /** Aborted when what may not be cancelled has to end all the same. */
  readonly hurry: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

export type JobWork = (context: JobContext) => Promise<unknown>;

interface Job {
  status: JobStatus;
  announcedMs: number;
  readonly cancel: AbortController;
  ended: Promise<void>;
}

/** Long work: it goes on when its caller has gone, and can be looked up, waited for and cancelled. */
export class Jobs {
  readonly #jobs = new Map<string, Job>();
  readonly #onChange: (status: JobStatus) => void;
  readonly #heavy = new Semaphore(HEAVY_AT_A_TIME);
  readonly #hurry = new AbortController();
  #closed = false;

  constructor(onChange: (status: JobStatus) => void) {
    this.#onChange = onChange;
  }

  /** Errors: MACHINE_BUSY when too many jobs are open, ABORTED when the daemon stops. */
  start(kind: JobKind, subject: string, work: JobWork): JobStatus {
    this.#checkRoom();
    const id = randomUUID();
    const status: JobStatus = { id, kind, subject, state: 'queued', createdAt: now() };
    const job: Job = {
      status,
      announcedMs: -Infinity,
      cancel: new AbortController(),
      ended: Promise.resolve(),
    };
    this.#jobs.set(id, job);
    this.#onChange(status);
    job.ended = this.#run(job, work);
    this.#forget();
    return job.status;
  }

  get(id: string): JobStatus | undefined {
    return this.#jobs.get(id)?.status;
  }

  /** Newest first. */
  list(): JobStatus[] {
    return [...this.#jobs.values()].map(({ status }) => status).reverse();
  }

  /** The status after the job has ended, or after so many milliseconds. */
  async wait(id: string, milliseconds: number): Promise<JobStatus | undefined> {
    const job = this.#jobs.get(id);
    if (!job || job.status.endedAt !== undefined) return job?.status;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    await Promise.race([job.ended, late]);
    clearTimeout(timer);
    return job.status;
  }

  /** The status after the job has ended. */
  async ended(id: string): Promise<JobStatus | undefined> {
    const job = this.#jobs.get(id);
    await job?.ended;
    return job?.status;
  }

  /** Asks an open job to end; false when there is none. It is cancelled when its state says so. */
  cancel(id: string): boolean {
    const job = this.#jobs.get(id);
    if (!job || job.status.endedAt !== undefined) return false;
    job.cancel.abort();
    return true;
  }

  /** Cancels everything and waits until it has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { cancel } of this.#jobs.values()) cancel.abort();
    await Promise.all([...this.#jobs.values()].map(({ ended }) => ended));
  }

  /** Ends what a cancel leaves alone, too. */
  hurry(): void {
    this.#hurry.abort(new FitdocError('ABORTED', 'The daemon is stopping.'));
  }

  #checkRoom(): void {
    if (this.#closed) throw new FitdocError('ABORTED', 'The daemon is stopping.');
    const open = [...this.#jobs.values()].filter(({ status }) => status.endedAt === undefined).length;
    if (open < MOST_OPEN) return;
    throw new FitdocError('MACHINE_BUSY', `${open} jobs are open already.`, {
      retryable: true,
      hint: 'Wait until some have ended, or cancel them.',
    });
  }

  async #run(job: Job, work: JobWork): Promise<void> {
    const { signal } = job.cancel;
    const begin = (): Promise<unknown> => {
      this.#change(job, { state: 'running', startedAt: now() });
      return work({
        signal,
        hurry: this.#hurry.signal,
        onProgress: (progress) => this.#progress(job, progress),
      });
    };
    try {
      const { kind } = job.status;
      const isLight = kind === 'checkpoint' || kind === 'promote';
      const result = isLight ? await begin() : await this.#heavy.run(begin, signal);
      this.#end(job, 'done', { result });
    } catch (error) {
      this.#end(job, signal.aborted ? 'cancelled' : 'failed', { problem: problemOf(error) });
    }
  }

  #end(job: Job, state: JobState, more: Partial<JobStatus>): void {
    this.#change(job, { ...more, state, endedAt: now() });
  }

  #progress(job: Job, progress: Progress): void {
    const at = steadyNow();
    const { phase, done, total, unit } = progress;
    job.status = { ...job.status, progress: { phase, done, unit, ...(total !== undefined && { total }) } };
    if (at - job.announcedMs < PROGRESS_EVERY_MS) return;
    job.announcedMs = at;
    this.#onChange(job.status);
  }

  #change(job: Job, change: Partial<JobStatus>): void {
    job.status = { ...job.status, ...change };
    this.#onChange(job.status);
  }

  #forget(): void {
    const ended = [...this.#jobs.values()].filter(({ status }) => status.endedAt !== undefined);
    for (const { status } of ended.slice(0, Math.max(0, ended.length - REMEMBERED)))
      this.#jobs.delete(status.id);
  }
}

function now(): string {
  return new Date().toISOString();
}
