import { randomUUID } from 'node:crypto';
import { isFitdocError, type Progress } from '@fitdoc/interface';
import type { JobKind, JobState, JobStatus, Problem } from '../model.js';

/** Ended jobs that are remembered. */
const REMEMBERED = 200;

export interface JobContext {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

interface Job {
  status: JobStatus;
  readonly cancel: AbortController;
  readonly ended: Promise<void>;
}

/** Long work that the API started: it goes on when the caller has gone, and can be looked up and cancelled. */
export class Jobs {
  readonly #jobs = new Map<string, Job>();
  readonly #onChange: (status: JobStatus) => void;

  constructor(onChange: (status: JobStatus) => void) {
    this.#onChange = onChange;
  }

  start(kind: JobKind, subject: string, work: (context: JobContext) => Promise<unknown>): JobStatus {
    const id = randomUUID();
    const cancel = new AbortController();
    const now = new Date().toISOString();
    const status: JobStatus = { id, kind, subject, state: 'running', createdAt: now, startedAt: now };
    const job: Job = { status, cancel, ended: Promise.resolve() };
    this.#jobs.set(id, job);
    this.#onChange(status);
    Object.assign(job, { ended: this.#run(job, work) });
    this.#forget();
    return status;
  }

  get(id: string): JobStatus | undefined {
    return this.#jobs.get(id)?.status;
  }

  list(): JobStatus[] {
    return [...this.#jobs.values()].map(({ status }) => status).reverse();
  }

  /** Asks a running job to end; false when there is none. It is cancelled when its state says so. */
  cancel(id: string): boolean {
    const job = this.#jobs.get(id);
    if (job?.status.state !== 'running') return false;
    job.cancel.abort();
    return true;
  }

  /** Cancels everything and waits until it has ended. */
  async close(): Promise<void> {
    for (const { cancel } of this.#jobs.values()) cancel.abort();
    await Promise.all([...this.#jobs.values()].map(({ ended }) => ended));
  }

  async #run(job: Job, work: (context: JobContext) => Promise<unknown>): Promise<void> {
    const { signal } = job.cancel;
    try {
      const onProgress = (progress: Progress): void => this.#change(job, { progress });
      const result = await work({ signal, onProgress });
      this.#end(job, 'done', { result });
    } catch (error) {
      this.#end(job, signal.aborted ? 'cancelled' : 'failed', { problem: problemOf(error) });
    }
  }

  #end(job: Job, state: JobState, more: Partial<JobStatus>): void {
    this.#change(job, { ...more, state, endedAt: new Date().toISOString() });
  }

  #change(job: Job, change: Partial<JobStatus>): void {
    job.status = { ...job.status, ...change };
    this.#onChange(job.status);
  }

  #forget(): void {
    const ended = [...this.#jobs.values()].filter(({ status }) => status.endedAt !== undefined);
    for (const { status } of ended.slice(0, Math.max(0, ended.length - REMEMBERED))) this.#jobs.delete(status.id);
  }
}

export function problemOf(error: unknown): Problem {
  const at = new Date().toISOString();
  if (!isFitdocError(error)) {
    return { at, code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, hint } = error;
  return { at, code, message, ...(hint !== undefined && { hint }) };
}
