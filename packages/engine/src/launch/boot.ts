import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  isFitdocError,
  throwIfAborted,
  type CallOptions,
  type Hypervisor,
  type Launched,
} from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import type { Engine } from '../engine.js';
import { CheckpointSource, type ReadOptions } from '../read/checkpoint-source.js';
import type { BootProbes } from './boot-probes.js';
import { keepBootReport, type BootReport } from './boot-report.js';
import { watchBoot } from './boot-watch.js';
import { diskImages } from './disk-images.js';
import { launcherOf } from './launcher.js';

export interface BootRequest {
  readonly repository: Repository;
  readonly entry: CheckpointEntry;
  readonly hypervisor: Hypervisor;
  readonly probes: BootProbes;
  /** As LaunchOptions has it. */
  readonly changed?: readonly string[];
  /** Where a directory for overlays, sockets and logs is made, which goes with the machine. Default: the system's. */
  readonly directory?: string;
  /** Keep the report in the repository. Default true. */
  readonly keep?: boolean;
}

export interface BootOutcome {
  readonly report: BootReport;
  /** A picture of its screen, as PNG. */
  readonly picture?: Uint8Array;
  /** What the guest wrote to its consoles. */
  readonly notes: readonly string[];
}

/**
 * Proves that a checkpoint comes back: starts its machine apart from everything (no network but
 * for a port that is probed, disks on overlays that are thrown away, or on those that it holds), watches it, and keeps what was found beside the checkpoint. Nothing of the
 * machine is left, whatever happens. That it fails is a report, no error. Errors: ABORTED, CAPABILITY_MISSING,
 * ARGUMENT_INVALID (no command is known, no card), and those of the store where the report is kept.
 */
export async function bootVerify(
  engine: Engine,
  request: BootRequest,
  options: ReadOptions = {},
): Promise<BootOutcome> {
  const { repository, entry, hypervisor, keep = true } = request;
  launcherOf(hypervisor);
  const parent = request.directory ?? tmpdir();
  const directory = await mkdtemp(path.join(parent, 'fitdoc-boot-'));
  try {
    const seen = await CheckpointSource.use(engine, repository, entry, options, (source) =>
      bootFrom(source, request, directory, options),
    ).catch((error: unknown) => notRestored(error, entry, options.signal));
    if (keep) await keepBootReport(repository, entry, seen.report, seen.picture);
    return seen;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function bootFrom(
  source: CheckpointSource,
  request: BootRequest,
  directory: string,
  options: ReadOptions,
): Promise<BootOutcome> {
  const { hypervisor, probes, changed = [] } = request;
  const call: CallOptions = options.signal ? { signal: options.signal } : {};
  const verifiedAtMs = Date.now();
  const images = await diskImages(source.disks, path.join(directory, 'disks'), options);
  const launched = await launcherOf(hypervisor).launch(source.info, {
    ...call,
    ...{ directory: path.join(directory, 'machine'), changed, images },
    ...{ disks: 'overlays', network: 'cut' },
    ...(probes.tcp && { reach: probes.tcp }),
  });
  try {
    const begun = performance.now();
    const { notes } = await hypervisor.restore(launched.location, source, options);
    const restoredMs = performance.now() - begun;
    const watched = await watchBoot(launched, probes, options.signal);
    const picture = await pictureOf(launched, path.join(directory, 'screen.png'), call);
    const report: BootReport = {
      ...{ version: 1, verifiedAtMs, restoredMs, hypervisor: source.info.hypervisor },
      ...watched,
      screenshot: picture !== undefined,
    };
    return { report, ...(picture && { picture }), notes };
  } finally {
    await launched.end();
  }
}

async function pictureOf(
  launched: Launched,
  file: string,
  call: CallOptions,
): Promise<Uint8Array | undefined> {
  if (launched.gone.aborted) return undefined;
  const taken = await launched.screenshot(file, call).catch(() => false);
  return taken ? readFile(file).catch(() => undefined) : undefined;
}

/** What cannot be started or read is what one wants to know. */
function notRestored(error: unknown, entry: CheckpointEntry, signal: AbortSignal | undefined): BootOutcome {
  throwIfAborted(signal);
  if (!isFitdocError(error) || /^(ABORTED|ARGUMENT|CAPABILITY|REPOSITORY_LOCKED)/.test(error.code))
    throw error;
  const report: BootReport = {
    ...{ version: 1, verdict: 'not-restored', about: `${error.message} [${error.code}]` },
    ...{ verifiedAtMs: Date.now(), cpus: [], probes: [], hypervisor: entry.hypervisor, screenshot: false },
  };
  return { report, notes: [] };
}
