import Table, { type HorizontalAlignment } from 'cli-table3';
import { isIntact, isWithheld, Lineage, type CheckpointEntry } from '@fitdoc/repository';
import type { Command } from 'commander';
import { machinesOf, treeLines } from '../output/tree.js';
import { bytes, count, shortId, isInFuture, time } from '../output/units.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface ListOptions extends StoreOptions {
  readonly tree?: boolean;
  readonly machine?: string;
}

export function listCommand(program: Command): void {
  storeOptions(
    program
      .command('list')
      .alias('ls')
      .description('list checkpoints, oldest first')
      .option('--machine <id>', 'only those of one machine')
      .option('--tree', 'machines and their forks instead, each with what it has'),
  ).action(
    action<[], ListOptions>(async (session, options) => {
      const repository = await session.repository(options);
      const filter = options.machine === undefined ? {} : { machine: options.machine };
      const entries = await repository.list({ ...filter, signal: session.signal });
      if (options.tree === true) {
        const machines = await machinesOf(repository, entries, session.signal);
        session.terminal.data({
          machines: machines.map(({ id, name, checkpoints, origin }) => ({
            ...{ id, name, checkpoints: checkpoints.map((entry) => entry.id), origin: origin ?? null },
          })),
        });
        for (const line of treeLines(machines)) session.terminal.line(line);
        return;
      }
      const intact = entries.filter(isIntact);
      const tags = await repository.tags.list();
      const lineage = new Lineage(intact);
      const namesOf = (entry: CheckpointEntry): string[] =>
        tags.filter((tag) => lineage.providers(tag.contentHash)[0] === entry).map((tag) => tag.name);
      const damaged = entries.flatMap((entry) => (isIntact(entry) ? [] : [entry]));
      session.terminal.data({
        checkpoints: intact.map((entry) => ({ ...listed(entry), tags: namesOf(entry) })),
        damaged: damaged.map(({ key, damaged: { code, message } }) => ({ key, code, message })),
      });
      session.terminal.line(table(intact, namesOf));
      for (const { key, damaged: why } of damaged) {
        session.terminal.line(`${isWithheld(why) ? 'UNREADABLE' : 'DAMAGED'} ${key}: ${why.message}`);
      }
    }),
  );
}

/** A checkpoint in JSON; the field names are part of the interface. */
export function listed(entry: CheckpointEntry): Record<string, unknown> {
  return {
    id: entry.id,
    machine: entry.machineId,
    machine_name: entry.machineName,
    sequence: entry.sequence,
    kind: entry.kind,
    parent: entry.parentId ?? null,
    captured_at: new Date(entry.capturedAtMs).toISOString(),
    in_future: isInFuture(entry.capturedAtMs),
    pages: entry.pages,
    changed_words: entry.changedWords,
    raw_bytes: entry.rawBytes,
    stored_bytes: entry.bytes,
    pause_ms: entry.metrics['pauseMs'] ?? null,
    ...(entry.disks !== undefined && {
      disks: entry.disks,
      disk_blocks: entry.diskBlocks,
      disk_bytes: entry.diskBytes,
    }),
    key: entry.key,
  };
}

function table(entries: readonly CheckpointEntry[], namesOf: (entry: CheckpointEntry) => string[]): string {
  if (entries.length === 0) return 'no checkpoints';
  // A column only where it says something.
  const withDisks = entries.some(({ disks }) => disks !== undefined);
  const [head, side]: [string[], HorizontalAlignment[]] = withDisks ? [['disks'], ['right']] : [[], []];
  const rows = new Table({
    head: ['checkpoint', 'machine', 'seq', 'captured', 'kind', 'pages', ...head, 'stored', 'pause', 'tags'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'left', 'right', 'left', 'left', 'right', ...side, 'right', 'right', 'left'],
  });
  for (const entry of entries) {
    const pause = entry.metrics['pauseMs'];
    rows.push([
      shortId(entry.id),
      entry.machineId,
      entry.sequence,
      `${time(entry.capturedAtMs)}${isInFuture(entry.capturedAtMs) ? ' (in the future)' : ''}`,
      entry.kind,
      count(entry.pages),
      ...(withDisks ? [disksOf(entry)] : []),
      bytes(entry.bytes),
      typeof pause === 'number' ? `${pause.toFixed(1)} ms` : '-',
      namesOf(entry).join(' '),
    ]);
  }
  return rows.toString();
}

/** How many, and how many of their blocks are in it. */
function disksOf({ disks, diskBlocks = 0 }: CheckpointEntry): string {
  return disks === undefined ? '-' : `${disks}: ${count(diskBlocks)} blocks`;
}
