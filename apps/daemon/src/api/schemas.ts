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

const problem = z
  .object({ at: isoTime, code: z.string(), message: z.string(), hint: z.string().exactOptional() })
  .meta({ id: 'Problem' }) satisfies z.ZodType<model.Problem>;

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

export const machineStatus = z
  .object({
    name: z.string(),
    location: z.string(),
    repository: z.string(),
    machineId: z.string().exactOptional(),
    hypervisor: z.string().exactOptional(),
    memoryBytes: count.exactOptional(),
    imageBytes: count.exactOptional(),
    state: z.enum(['waiting', 'attaching', 'protected', 'capturing', 'suspended', 'stuck']),
    since: isoTime,
    schedule: z.string(),
    nextDueAt: isoTime.exactOptional(),
    intervalMs: z.number().exactOptional(),
    checkpoints: count,
    failures: count,
    missed: count.describe('scheduled checkpoints left out because the machine fell behind'),
    chainDepth: count.exactOptional(),
    lastCheckpoint: lastCheckpoint.exactOptional(),
    lastVerifiedAt: isoTime.exactOptional(),
    lastProblem: problem.exactOptional(),
    limits: z.array(z.string()).readonly(),
  })
  .meta({ id: 'Machine' }) satisfies z.ZodType<model.MachineStatus>;

export const jobStatus = z
  .object({
    id: z.string(),
    kind: z.enum(['checkpoint', 'restore', 'verify', 'prune']),
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
