import { z } from 'zod';
import type * as model from '../model.js';

// The model's types as schemas, for answers and for the OpenAPI document; the compiler holds the two together.

const isoTime = z.iso.datetime();
const count = z.number().int().min(0);
const checkpointKind = z.enum(['base', 'increment']);

export const errorBody = z
  .object({
    code: z.string().describe('stable, for programs'),
    message: z.string().describe('what happened'),
    hint: z.string().exactOptional().describe('what to do next'),
  })
  .meta({ id: 'Error' });

const problemFields = {
  at: isoTime,
  code: z.string(),
  message: z.string(),
  hint: z.string().exactOptional(),
};

const problem = z.object(problemFields).meta({ id: 'Problem' }) satisfies z.ZodType<model.Problem>;

const damage = z
  .object({
    ...problemFields,
    key: z.string().exactOptional().describe('the damaged object; absent where none is there'),
    missing: z.string().exactOptional().describe('the checkpoint that is missing, where that is known'),
  })
  .meta({ id: 'Damage' }) satisfies z.ZodType<model.Damage>;

const standing = z
  .object({
    state: z.string().describe("the hypervisor's word: paused, suspended, guest-panicked"),
    message: z.string(),
    hint: z.string().exactOptional(),
  })
  .meta({ id: 'Standing' }) satisfies z.ZodType<model.Standing>;

const lastCheckpointFields = {
  id: z.string(),
  sequence: count,
  kind: checkpointKind,
  capturedAt: isoTime,
  pauseMs: z.number(),
  dirtyPages: count,
  changedWords: count,
  storedBytes: count,
};

const lastCheckpoint = z
  .object(lastCheckpointFields)
  .meta({ id: 'LastCheckpoint' }) satisfies z.ZodType<model.LastCheckpoint>;

const history = z
  .object({
    keptPoints: count.describe('restore points that something keeps'),
    keptBy: z
      .array(z.object({ rule: z.string(), points: count }))
      .readonly()
      .describe('by what: a point may be kept by several'),
    surplusPoints: count.describe('restore points that nothing keeps and that are still there'),
    reachedAgeMs: count
      .exactOptional()
      .describe('since nothing was left to do for the policy; absent until that was so'),
    pathObjects: count.describe('objects that a restore of the newest checkpoint reads'),
    worstPathObjects: count.describe('the most that the restore of any kept one reads'),
    lagObjects: count.describe('objects beyond the bound, because merging lags behind'),
    lagSeconds: z.number().min(0),
    merges: count,
    mergedBytes: count,
    capturedBytes: count.describe('of the checkpoints that were captured meanwhile'),
    removed: count,
    freedBytes: count,
  })
  .meta({ id: 'History' }) satisfies z.ZodType<model.HistoryStatus>;

export const machineStatus = z
  .object({
    at: isoTime.describe("when this was said, by the daemon's clock"),
    name: z.string(),
    location: z.string(),
    pattern: z.string().exactOptional().describe('of the configuration, that it matches'),
    repository: z.string(),
    machineId: z.string().exactOptional(),
    hypervisor: z.string().exactOptional(),
    memoryBytes: count.exactOptional(),
    imageBytes: count.exactOptional(),
    state: z.enum([
      'waiting',
      'attaching',
      'protected',
      'capturing',
      'suspended',
      'standing',
      'released',
      'stuck',
    ]),
    since: isoTime,
    schedule: z.string(),
    nextDueAt: isoTime.exactOptional(),
    intervalMs: z.number().exactOptional(),
    successAgeMs: count.describe('since the last good checkpoint; no step of the wall clock changes it'),
    checkpoints: count,
    failures: count,
    missed: count.describe('scheduled checkpoints left out because the machine fell behind'),
    pauseBudget: z
      .object({ kept: count, exceeded: count, refused: count })
      .describe('checkpoints by what became of the budget of their pauses')
      .exactOptional(),
    history: history.exactOptional(),
    restorePoints: count.exactOptional().describe('in the repository now'),
    lastCheckpoint: lastCheckpoint.exactOptional(),
    lastVerifiedAt: isoTime.exactOptional(),
    lastBoot: z
      .object({ at: isoTime, verdict: z.string(), about: z.string() })
      .describe('how the last checkpoint did that was started apart from everything')
      .exactOptional(),
    lastProblem: problem.exactOptional(),
    lastDamage: damage.exactOptional(),
    standing: standing.exactOptional(),
    releasedUntil: isoTime.exactOptional(),
    limits: z.array(z.string()).readonly(),
  })
  .meta({ id: 'Machine' }) satisfies z.ZodType<model.MachineStatus>;

export const jobStatus = z
  .object({
    id: z.string(),
    kind: z.enum(['checkpoint', 'restore', 'verify', 'boot', 'prune', 'promote']),
    state: z.enum(['queued', 'running', 'done', 'failed', 'cancelled']),
    subject: z.string(),
    createdAt: isoTime,
    startedAt: isoTime.exactOptional(),
    endedAt: isoTime.exactOptional(),
    progress: z
      .object({ phase: z.string(), done: z.number(), total: z.number().exactOptional(), unit: z.string() })
      .exactOptional(),
    result: z.unknown().exactOptional(),
    problem: problem.exactOptional(),
  })
  .meta({ id: 'Job' }) satisfies z.ZodType<model.JobStatus>;

export const timelineEntry = z
  .object({
    ...lastCheckpointFields,
    parent: z.string().nullable(),
    pages: count,
    rawBytes: count,
    readObjects: count.exactOptional().describe('objects that a restore of it reads'),
    readBytes: count.exactOptional(),
    tags: z.array(z.string()).readonly(),
  })
  .meta({ id: 'TimelineEntry' }) satisfies z.ZodType<model.TimelineEntry>;

export const repositoryStatus = z
  .object({
    name: z.string(),
    location: z.string(),
    machines: z.array(z.string()).readonly(),
    reachable: z.boolean(),
    checkpoints: count.exactOptional(),
    bytes: count.exactOptional(),
    damaged: count.exactOptional(),
    problem: problem.exactOptional(),
  })
  .meta({ id: 'Repository' }) satisfies z.ZodType<model.RepositoryStatus>;

export const patternStatus = z
  .object({
    pattern: z.string(),
    machines: z.array(z.string()).readonly().describe('protected by it, whether they run or not'),
    leftOut: z
      .array(z.object({ name: z.string(), why: z.string() }))
      .readonly()
      .describe('fit, and cannot be protected'),
    lookedAt: isoTime.exactOptional().describe('when it was last learned what there is'),
    lastProblem: problem
      .exactOptional()
      .describe('why the last look failed; machines stay as they were then'),
  })
  .meta({ id: 'Pattern' }) satisfies z.ZodType<model.PatternStatus>;

export const standbyStatus = z
  .object({
    at: isoTime.describe("when this was said, by the daemon's clock"),
    name: z.string(),
    machine: z.string().describe('its id or name, as the configuration has it'),
    machineId: z.string().exactOptional(),
    repository: z.string(),
    directory: z.string(),
    state: z.enum(['waiting', 'reading', 'ready', 'promoting', 'promoted']),
    since: isoTime,
    ready: z
      .object({ id: z.string(), sequence: count, capturedAt: isoTime })
      .exactOptional()
      .describe('the checkpoint that the machine can be started from'),
    behindMs: count.exactOptional().describe('since that was captured; no step of the wall clock changes it'),
    promoted: z
      .object({ at: isoTime, location: z.string(), pid: count })
      .exactOptional()
      .describe('where the machine was started'),
    lastProblem: problem.exactOptional(),
  })
  .meta({ id: 'Standby' }) satisfies z.ZodType<model.StandbyStatus>;

export const memoryMap = z
  .object({
    checkpoint: z.string(),
    sequence: count,
    kind: checkpointKind,
    pages: count,
    pagesPerBin: count,
    bins: z.array(count).readonly(),
    exact: z.boolean(),
    regions: z
      .array(
        z.object({ name: z.string(), kind: z.enum(['ram', 'rom', 'device']), firstGfn: count, pages: count }),
      )
      .readonly(),
  })
  .meta({ id: 'MemoryMap' }) satisfies z.ZodType<model.MemoryMap>;
