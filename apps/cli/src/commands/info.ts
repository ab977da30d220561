import { DirtyBitmap } from '@fitdoc/bitmap';
import type { CheckpointReader } from '@fitdoc/format';
import { PAGE_SIZE, totalPages, type DiskInfo, type MachineInfo } from '@fitdoc/interface';
import { stateOf, type CheckpointEntry, type Repository } from '@fitdoc/repository';
import * as asciichart from 'asciichart';
import type { Command } from 'commander';
import { bootReportOf } from '@fitdoc/engine';
import { bootMessage, bootText } from '../launch/boot.js';
import { memoryMap } from '../output/memory-map.js';
import { bytes, count, milliseconds, isInFuture, percent, time } from '../output/units.js';
import { retentionOptions, retentionPolicy, type RetentionOptions } from '../retention-options.js';
import { shellWord } from '../output/shell-word.js';
import { action, storeOptions, type Session, type StoreOptions } from '../session.js';
import { listed } from './list.js';

interface InfoOptions extends StoreOptions, RetentionOptions {
  readonly machine?: string;
}

/** Checkpoints of a chain that the plot shows. */
const PLOTTED = 60;

export function infoCommand(program: Command): void {
  retentionOptions(
    storeOptions(
      program
        .command('info <checkpoint>')
        .description(
          'show a checkpoint: what it holds, where its bytes went, what a restore reads, a map of its pages; ' +
            'with rules, which of them keep it',
        )
        .option('--machine <id>', 'the machine that names like latest mean'),
    ),
  ).action(
    action<[string], InfoOptions>(async (session, options, name) => {
      const repository = await session.repository(options);
      if (!session.terminal.json) session.tellNotes(repository.store);
      const where = session.where(options.machine);
      const entry = await repository.resolve(name, where);
      const [reader, chain] = [await repository.openCheckpoint(entry), await repository.chain(entry)];
      const { machine } = reader.header;
      const writers = await repository.writers(entry.machineId);
      const kept = await reasonsToKeep(session, repository, entry, options);
      session.terminal.data({
        ...listed(entry),
        tags: kept.tags,
        ...(kept.rules && { kept_by: kept.rules }),
        content_hash: entry.contentHash,
        hypervisor: machine.hypervisor,
        platform: machine.platform,
        regions: machine.regions,
        disks: machine.disks,
        ...(await launchMessage(repository, entry, machine)),
        stored_disks: reader.header.disks ?? [],
        bytes_by_part: partsOf(entry, reader),
        word_pages: entry.wordPages,
        whole_pages: entry.wholePages,
        zero_pages: entry.zeroPages,
        device_state_bytes: entry.deviceStateBytes,
        metrics: entry.metrics,
        chain: chain.map(({ id }) => id),
        restore_objects: chain.length,
        restore_bytes: bytesOf(chain),
        writers,
      });
      if (session.terminal.json) return;
      await show(session, repository, entry, reader, chain);
      await showBoot(session, repository, entry);
      if (kept.tags.length > 0) session.terminal.line(`${'tags'.padEnd(14)} ${kept.tags.join(', ')}`);
      if (kept.rules)
        session.terminal.line(
          `${'kept by'.padEnd(14)} ${kept.rules.join(', ') || 'no rule: prune with these would delete it'}`,
        );
      for (const { program, pid, host, location } of writers)
        session.terminal.line(
          `${'written by'.padEnd(14)} ${program} (process ${pid} on ${host}) from ${location}`,
        );
    }),
  );
}

/** How the machine was started, whose checkpoint it began as, and how this state did when it was started. */
async function launchMessage(
  repository: Repository,
  entry: CheckpointEntry,
  { command, origin }: MachineInfo,
): Promise<Record<string, unknown>> {
  const boot = await bootReportOf(repository, entry);
  const began = origin && { origin };
  return { command: command?.words ?? null, ...began, boot: boot ? bootMessage(boot) : null };
}

async function showBoot(session: Session, repository: Repository, entry: CheckpointEntry): Promise<void> {
  const boot = await bootReportOf(repository, entry);
  if (boot) session.terminal.line(`${'started'.padEnd(14)} ${bootText(boot)}`);
}

/** The tags of a checkpoint, and where rules are given, which of them keep it: as a prune would say it. */
async function reasonsToKeep(
  { signal }: Session,
  repository: Repository,
  entry: CheckpointEntry,
  options: InfoOptions,
): Promise<{ tags: string[]; rules?: readonly string[] }> {
  const hashes = new Set([stateOf(entry), ...(entry.supersedes ?? [])]);
  const tags = (await repository.tags.list({ signal }))
    .filter(({ contentHash }) => hashes.has(contentHash))
    .map(({ name }) => name);
  const policy = retentionPolicy(options);
  if (!policy) return { tags };
  const { keep } = await repository.planHistory(entry.machineId, policy, { signal });
  return { tags, rules: keep.find((kept) => kept.entry.id === entry.id)?.reasons ?? [] };
}

/** Stored bytes: page data, and all the rest (device state, index, headers). */
function partsOf(
  entry: CheckpointEntry,
  reader: CheckpointReader,
): { pages: number; disks?: number; other: number } {
  const pages = reader.batches.reduce((sum, batch) => sum + batch.length, 0);
  const disks = entry.diskBytes;
  return { pages, ...(disks !== undefined && { disks }), other: entry.bytes - pages - (disks ?? 0) };
}

async function show(
  session: Session,
  repository: Repository,
  entry: CheckpointEntry,
  reader: CheckpointReader,
  chain: readonly CheckpointEntry[],
): Promise<void> {
  const line = (label: string, text: string): void => session.terminal.line(`${label.padEnd(14)} ${text}`);
  const { machine } = reader.header;
  const memory = totalPages(machine.regions) * PAGE_SIZE;
  const parts = partsOf(entry, reader);
  line('checkpoint', entry.id);
  line('machine', `${machine.name} (${entry.machineId}), ${machine.hypervisor}, ${bytes(memory)} of memory`);
  const future = isInFuture(entry.capturedAtMs) ? ', in the future: a clock was wrong then, or is now' : '';
  line('captured', `${time(entry.capturedAtMs)}${future}`);
  line('kind', entry.parentId ? `increment to ${entry.parentId}` : 'base');
  const pause = entry.metrics['pauseMs'];
  if (typeof pause === 'number') line('pause', milliseconds(pause));
  const frozen = entry.metrics['frozenMs'];
  if (typeof frozen === 'number')
    line('quiesced', `file systems were frozen, for ${milliseconds(frozen)} in all`);
  for (const [index, text] of hookText(entry).entries()) line(index === 0 ? 'pause hook' : '', text);
  line(
    'pages',
    `${count(entry.pages)}: ${count(entry.wordPages)} as words, ${count(entry.wholePages)} whole, ${count(entry.zeroPages)} zero`,
  );
  line('words', `${count(entry.changedWords)} in pages stored as words`);
  line(
    'stored',
    `${bytes(entry.bytes)}: ${bytes(parts.pages)} pages, ${parts.disks === undefined ? '' : `${bytes(parts.disks)} disks, `}${bytes(parts.other)} device state, index and headers`,
  );
  line(
    '',
    `${percent(entry.bytes, entry.rawBytes)} of its pages whole, ${percent(entry.bytes, memory)} of the memory`,
  );
  for (const region of machine.regions)
    line('region', `${region.name}: ${count(region.pages)} pages from ${region.firstGfn}, ${region.kind}`);
  for (const disk of machine.disks) line('disk', diskText(disk, reader));
  if (machine.command) line('command', machine.command.words.map(shellWord).join(' '));
  if (machine.origin)
    line('fork of', `${machine.origin.machine}, state ${machine.origin.state.slice(0, 12)}`);
  line('restore', `reads ${chain.length} objects, ${bytes(bytesOf(chain))}`);
  session.terminal.line(plot(chain));
  session.terminal.line(memoryMap(await pagesOf(reader)));
}

/** What ran in its pause, and printed. */
function hookText({ metrics }: CheckpointEntry): string[] {
  const { pauseHook: said, pauseHookMs: took, pauseHookFailure: failure } = metrics;
  if (typeof said !== 'string' || typeof took !== 'number') return [];
  const printed = said === '' ? [] : said.split('\n');
  const failed = typeof failure === 'string' ? [`it ${failure}`] : [];
  return [`took ${milliseconds(took)}`, ...failed, ...printed];
}

function diskText(
  { name, source = 'unknown', writable, leftOut }: DiskInfo,
  reader: CheckpointReader,
): string {
  const stored = reader.disks.find((disk) => disk.name === name);
  if (stored) {
    const batches = stored.spans.flatMap((span) => span.batches);
    const blocks = batches.reduce((sum, { pages }) => sum + pages, 0);
    const what = stored.kind === 'full' ? 'in full' : 'what changed';
    return `${name}: ${source}, ${bytes(stored.sizeBytes)}, ${what}: ${count(blocks)} blocks`;
  }
  if (!writable) return `${name}: ${source}`;
  return `${name}: ${source}, writable, ${leftOut === true ? 'left out' : 'not in the checkpoint'}`;
}

function bytesOf(chain: readonly CheckpointEntry[]): number {
  return chain.reduce((sum, each) => sum + each.bytes, 0);
}

/** Stored bytes of the chain's increments, as a plot; a base would flatten the rest. */
function plot(chain: readonly CheckpointEntry[]): string {
  const sizes = chain
    .filter(({ kind }) => kind === 'increment')
    .slice(-PLOTTED)
    .map(({ bytes: size }) => size / 1024);
  if (sizes.length < 2) return '';
  return `\n  stored KiB, last ${sizes.length} increments\n${asciichart.plot(sizes, { height: 6 })}\n`;
}

async function pagesOf(reader: CheckpointReader): Promise<DirtyBitmap> {
  const map = new DirtyBitmap(totalPages(reader.header.machine.regions));
  for (let index = 0; index < reader.batches.length; index++) {
    const { gfns } = await reader.readBatch(index);
    for (const gfn of gfns) map.set(gfn);
  }
  return map;
}
