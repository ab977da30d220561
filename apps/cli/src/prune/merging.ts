import { thin, type ThinEvent, type ThinReport } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import {
  foresee,
  isIntact,
  type HistoryPlan,
  type Repository,
  type RetentionPolicy,
} from '@fitdoc/repository';
import { bytes, count, shortId, time } from '../output/units.js';
import type { Session } from '../session.js';

/** What became of a machine's history, or would; the field names are part of the interface. */
export interface MachineSummary {
  readonly machine: string;
  readonly kept: readonly { readonly id: string; readonly reasons: readonly string[] }[];
  /** Restore points that went, or would. */
  readonly deleted: readonly string[];
  readonly merges: number;
  readonly merged_bytes: number;
  readonly removed_objects: number;
  readonly freed_bytes: number;
  /** Of a dry run: whether merges are needed first, whose results are only guessed at. */
  readonly freed_bytes_estimated: boolean;
  /** Kept restore points with dates in the future: a clock stood wrong. */
  readonly in_future: readonly string[];
  /** Objects that a restore of the newest reads, and of any kept one at most. */
  readonly path_objects: number;
  readonly worst_path_objects: number;
}

/** Merges and removes until a machine's history is as the policy asks; what is done stays when it is ended. */
export async function thinMachine(
  session: Session,
  repository: Repository,
  machine: string,
  policy: RetentionPolicy,
  bandwidth: number | undefined,
): Promise<{ summary: MachineSummary; failure: FitdocError | undefined }> {
  const { terminal, signal } = session;
  const before = await idsOf(repository, machine);
  const report = await thin(session.engine, repository, machine, policy, {
    signal,
    onProgress: terminal.progress,
    onEvent: (event) => tell(session, machine, event),
    ...(bandwidth !== undefined && { bandwidth }),
  });
  const after = new Set(await idsOf(repository, machine));
  const deleted = before.filter((id) => !after.has(id));
  tellKept(session, report.plan);
  for (const id of deleted) terminal.line(`deleted ${shortId(id)}`);
  const written =
    report.merges > 0 ? `, ${count(report.merges)} merges wrote ${bytes(report.writtenBytes)}` : '';
  const { path } = report.plan;
  terminal.line(
    `${machine}: ${bytes(report.freedBytes)} freed${written}; a restore reads ${path.worst} objects at most`,
  );
  for (const { key, error } of report.stuck) terminal.note(`${key} stays: ${error.message}`);
  return { summary: summaryOf(report, deleted), failure: failureOf(machine, report) };
}

/** What `thinMachine` would come to in the end. */
export async function foreseen(
  session: Session,
  repository: Repository,
  machine: string,
  policy: RetentionPolicy,
): Promise<MachineSummary> {
  const plan = await repository.planHistory(machine, policy, { signal: session.signal, pace: 'exact' });
  const kept = new Set(plan.keep.map(({ entry }) => entry.id));
  const points = await repository.checkpoints({ machine, signal: session.signal });
  const going = points.filter(({ id }) => !kept.has(id));
  const objects = await repository.objects({ machine, signal: session.signal });
  const { freedBytes, isEstimate } = foresee(plan, objects.filter(isIntact));
  tellKept(session, plan);
  for (const entry of going) {
    session.terminal.line(`would delete ${shortId(entry.id)} ${time(entry.capturedAtMs)}`);
  }
  const merging =
    plan.jobs.length > 0 ? `, after ${count(plan.jobs.length)} merges or more; an estimate` : '';
  session.terminal.line(`${machine}: would free ${bytes(freedBytes)}${merging}`);
  return {
    ...pathOf(plan),
    machine,
    deleted: going.map(({ id }) => id),
    merges: plan.jobs.length,
    merged_bytes: 0,
    removed_objects: plan.remove.length,
    freed_bytes: freedBytes,
    freed_bytes_estimated: isEstimate,
  };
}

async function idsOf(repository: Repository, machine: string): Promise<string[]> {
  return (await repository.checkpoints({ machine })).map(({ id }) => id);
}

function tellKept({ terminal }: Session, plan: HistoryPlan): void {
  for (const { entry, reasons } of plan.keep) {
    terminal.line(`keep ${shortId(entry.id)} ${time(entry.capturedAtMs)}  ${reasons.join(', ')}`);
  }
  const [first] = plan.future;
  if (!first) return;
  terminal.note(
    `${plan.future.length} kept checkpoints have dates in the future, up to ${time(Math.max(...plan.future.map(({ capturedAtMs }) => capturedAtMs)))}: a clock was wrong then, or is now. Rules take them in the order in which they were captured.`,
  );
}

function tell({ terminal }: Session, machine: string, event: ThinEvent): void {
  switch (event.type) {
    case 'merged':
      terminal.data({
        message_type: 'merge',
        machine,
        role: event.job.role,
        state: event.entry.id,
        objects: event.job.path.length,
        bytes: event.entry.bytes,
      });
      break;
    case 'merge-failed':
      terminal.note(`${machine}: a merge failed, the rest goes on: ${event.error.message}`);
      break;
    case 'removed':
      terminal.data({
        message_type: 'removed',
        machine,
        objects: event.entries.length,
        freed_bytes: event.freedBytes,
      });
      break;
  }
}

function summaryOf(report: ThinReport, deleted: readonly string[]): MachineSummary {
  return {
    ...pathOf(report.plan),
    machine: report.machineId,
    deleted,
    merges: report.merges,
    merged_bytes: report.writtenBytes,
    removed_objects: report.removed.length,
    freed_bytes: report.freedBytes,
    freed_bytes_estimated: false,
  };
}

function pathOf({
  keep,
  path,
  future,
}: HistoryPlan): Pick<MachineSummary, 'kept' | 'in_future' | 'path_objects' | 'worst_path_objects'> {
  return {
    in_future: future.map(({ id }) => id),
    kept: keep.map(({ entry, reasons }) => ({ id: entry.id, reasons })),
    path_objects: path.newest,
    worst_path_objects: path.worst,
  };
}

/** All that could be done was done; that something could not must not pass as success. */
function failureOf(machine: string, { failures }: ThinReport): FitdocError | undefined {
  const [first] = failures;
  if (!first) return undefined;
  const message = `${failures.length} merge(s) of ${machine} failed: ${first.message}`;
  return new FitdocError(first.code, message, {
    cause: first,
    details: first.details,
    ...(first.hint !== undefined && { hint: first.hint }),
  });
}
