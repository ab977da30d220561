import { useState } from 'preact/hooks';
import type { JobStatus } from '../../../src/model.js';
import { cancel } from '../state/actions.js';
import { ago, count, exactTime, percent, span } from '../words/format.js';
import { jobTitle, outcomeOf } from '../words/outcome.js';

const SHOWN = 5;

interface Props {
  readonly jobs: readonly JobStatus[];
  readonly now: number;
}

export function JobList({ jobs, now }: Props) {
  const [all, setAll] = useState(false);
  const open = jobs.filter(({ endedAt }) => endedAt === undefined);
  const ended = jobs.filter(({ endedAt }) => endedAt !== undefined);
  const shown = all ? ended : ended.slice(0, SHOWN);
  return (
    <section class="panel jobs" aria-labelledby="jobs-title">
      <h2 id="jobs-title">Jobs</h2>
      {jobs.length === 0 && <p class="quiet">None yet. Scheduled checkpoints are not listed here.</p>}
      <ul>
        {[...open, ...shown].map((job) => (
          <JobItem key={job.id} job={job} now={now} />
        ))}
      </ul>
      {ended.length > SHOWN && (
        <button type="button" class="plain" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? 'Show fewer' : `Show all ${count(ended.length)}`}
        </button>
      )}
    </section>
  );
}

function JobItem({ job, now }: { readonly job: JobStatus; readonly now: number }) {
  const [asked, setAsked] = useState(false);
  const running = job.endedAt === undefined;
  const stop = (): void => {
    setAsked(true);
    void cancel(job.id).then((accepted) => setAsked(accepted));
  };
  return (
    <li class={`job ${job.state}`} data-job={job.id}>
      <p class="job-title">{jobTitle(job)}</p>
      {running ? <Running job={job} now={now} /> : <Ended job={job} now={now} />}
      {running && (
        <button
          type="button"
          class="small"
          disabled={asked}
          onClick={stop}
          aria-label={`Cancel: ${jobTitle(job)}`}
        >
          {asked ? 'Cancelling' : 'Cancel'}
        </button>
      )}
    </li>
  );
}

function Running({ job, now }: { readonly job: JobStatus; readonly now: number }) {
  const { progress, startedAt, createdAt } = job;
  const { done = 0, total } = progress ?? {};
  const amount =
    total === undefined ? '' : `${count(done)} of ${count(total)} ${progress?.unit}, ${percent(done, total)}`;
  return (
    <div class="job-state">
      <progress {...(total ? { max: total, value: done } : {})} aria-label={progress?.phase ?? job.state} />
      <p>
        {progress ? `${progress.phase}${amount && `: ${amount}`}` : job.state} ·{' '}
        {span(now - Date.parse(startedAt ?? createdAt))}
      </p>
    </div>
  );
}

function Ended({ job, now }: { readonly job: JobStatus; readonly now: number }) {
  const { tone, text, notes } = outcomeOf(job);
  const ended = job.endedAt ?? job.createdAt;
  return (
    <div class="job-state">
      <p>
        <span class={`tone-${tone}`}>{text}</span>{' '}
        <time dateTime={ended} title={exactTime(ended)}>
          {ago(ended, now)}
        </time>
      </p>
      {notes.map((note) => (
        <p key={note} class="job-note">
          {note}
        </p>
      ))}
    </div>
  );
}
