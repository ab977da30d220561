import { FitdocError, throwIfAborted } from '@fitdoc/interface';
import type { CaptureOptions } from '../machine.js';
import { bytes, count, milliseconds, shortId } from '../output/units.js';
import type { Session } from '../session.js';
import { DaemonClient, daemonError, daemonSocket } from './client.js';
import type { DaemonCheckpoint, DaemonJob } from './model.js';

interface DaemonSaveOptions extends CaptureOptions {
  readonly daemon?: string | boolean;
  readonly tag?: string;
}

/** Settings that the daemon has in its configuration, or cannot take from a request. */
const DAEMONS_OWN = [
  'store',
  'disks',
  'leaveOutDisk',
  'machineId',
  'fork',
  'compressor',
  'level',
  'from',
  'newBase',
  'init',
  'plain',
  'pauseHook',
  'quiesce',
  'tag',
] as const;

/** Has the daemon take a checkpoint of a machine that its configuration names, and waits for it. */
export async function saveThroughDaemon(
  session: Session,
  machine: string,
  options: DaemonSaveOptions,
): Promise<void> {
  const given = DAEMONS_OWN.filter((name) => options[name] !== undefined);
  if (given.length > 0) {
    throw new FitdocError('ARGUMENT_INVALID', `With --daemon there is no place for: ${given.join(', ')}.`, {
      hint: 'The daemon goes by its configuration; set tags with: fitdoc tag.',
    });
  }
  const client = new DaemonClient(daemonSocket(options.daemon), session.signal);
  const begun = await client.post<DaemonJob>(`/v1/machines/${encodeURIComponent(machine)}/checkpoint`);
  const job = await ended(client, begun, session.signal);
  if (job.problem) throw daemonError(job.problem);
  const checkpoint = job.result as DaemonCheckpoint;
  const { id, sequence, kind, pauseMs, dirtyPages, storedBytes } = checkpoint;
  session.terminal.line(
    `${machine}: checkpoint ${shortId(id)}, sequence ${sequence} (${kind}), pause ${milliseconds(pauseMs)}, ` +
      `${count(dirtyPages)} dirty pages, ${bytes(storedBytes)} stored`,
  );
  session.terminal.data({
    message_type: 'checkpoint',
    id,
    sequence,
    kind,
    machine,
    captured_at: checkpoint.capturedAt,
    pause_ms: pauseMs,
    dirty_pages: dirtyPages,
    changed_words: checkpoint.changedWords,
    stored_bytes: storedBytes,
  });
}

async function ended(client: DaemonClient, begun: DaemonJob, signal: AbortSignal): Promise<DaemonJob> {
  let job = begun;
  try {
    while (job.endedAt === undefined) {
      throwIfAborted(signal);
      job = await client.get<DaemonJob>(`/v1/jobs/${begun.id}?wait=30`);
    }
    return job;
  } catch (error) {
    if (signal.aborted) await client.delete(`/v1/jobs/${begun.id}`).catch(() => undefined);
    throw error;
  }
}
