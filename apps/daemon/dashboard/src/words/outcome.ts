import type { JobStatus } from '../../../src/model.js';
import { bytes, count, counted, shortId } from './format.js';
import type { Tone } from './health.js';

export interface Outcome {
  readonly tone: Tone;
  readonly text: string;
  /** Notes of the result, what went wrong, what to do next. */
  readonly notes: readonly string[];
}

const titles = {
  checkpoint: 'Checkpoint of',
  restore: 'Restore of',
  verify: 'Verify',
  boot: 'Start of a checkpoint of',
  prune: 'Prune',
  promote: 'Promotion of',
} as const;

/** What a job does; ids in its subject are shortened. */
export function jobTitle({ kind, subject }: JobStatus): string {
  return `${titles[kind]} ${subject.replace(/\b[0-9a-f]{32}\b(?= to )/, (id) => `from ${shortId(id)}`)}`;
}

/** What an ended job came to. */
export function outcomeOf(job: JobStatus): Outcome {
  const { state, problem } = job;
  if (state === 'done') return resultOf(job);
  if (state === 'cancelled') return { tone: 'idle', text: 'Cancelled', notes: [] };
  const notes = [problem?.message, problem?.hint].filter((note) => note !== undefined);
  return { tone: 'bad', text: `Failed${problem ? ` (${problem.code})` : ''}`, notes };
}

/** What the kinds of jobs answer, all of it optional: the page must stand a newer daemon. */
interface Results {
  readonly sequence?: number;
  readonly state?: string;
  readonly pages?: number;
  readonly notes?: readonly string[];
  readonly checkpoints?: number;
  readonly bytes?: number;
  readonly findings?: readonly { readonly key: string; readonly message: string }[];
  readonly removed?: number;
  readonly freedBytes?: number;
  readonly merges?: number;
  readonly verdict?: string;
  readonly location?: string;
  readonly mergedBytes?: number;
}

function resultOf({ kind, result }: JobStatus): Outcome {
  const found = (result ?? {}) as Results;
  const good = (text: string, notes: readonly string[] = []): Outcome => ({ tone: 'good', text, notes });
  switch (kind) {
    case 'checkpoint':
      return good(found.sequence === undefined ? 'Done' : `Stored as #${count(found.sequence)}`);
    case 'restore':
      return good(`Restored${found.state === undefined ? '' : `, ${found.state}`}`, found.notes);
    case 'verify':
      return verifyOutcome(found);
    case 'boot':
      return good(found.verdict === undefined ? 'Nothing to start' : 'It runs');
    case 'prune':
      return good(
        `Removed ${counted(found.removed ?? 0, 'object')}, ${bytes(found.freedBytes ?? 0)}`,
        mergesOf(found),
      );
    case 'promote':
      return good(`Runs at ${found.location ?? 'its standby'}`, found.notes);
  }
}

function mergesOf({ merges = 0, mergedBytes = 0 }: Results): string[] {
  return merges > 0 ? [`${counted(merges, 'merge')} wrote ${bytes(mergedBytes)}`] : [];
}

function verifyOutcome({ findings = [], checkpoints = 0, bytes: read = 0 }: Results): Outcome {
  if (findings.length === 0) {
    const text =
      checkpoints === 0
        ? 'Nothing to verify'
        : `${counted(checkpoints, 'checkpoint')} good, ${bytes(read)} read`;
    return { tone: checkpoints === 0 ? 'idle' : 'good', text, notes: [] };
  }
  const notes = findings.slice(0, 5).map(({ key, message }) => `${key}: ${message}`);
  return { tone: 'bad', text: `Damage found: ${counted(findings.length, 'finding')}`, notes };
}
