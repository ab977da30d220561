import Table from 'cli-table3';
import { isIntact, Lineage, type CheckpointEntry } from '@fitdoc/repository';
import type { Command } from 'commander';
import { bytes, count, shortId, time } from '../output/units.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface ListOptions extends StoreOptions {
  readonly machine?: string;
}

export function listCommand(program: Command): void {
  storeOptions(
    program
      .command('list')
      .alias('ls')
      .description('list checkpoints, oldest first')
      .option('--machine <id>', 'only those of one machine'),
  ).action(
    action<[], ListOptions>(async (session, options) => {
      const repository = await session.repository(options);
      const filter = options.machine === undefined ? {} : { machine: options.machine };
      const entries = await repository.list({ ...filter, signal: session.signal });
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
      for (const { key, damaged: why } of damaged) session.terminal.line(`DAMAGED ${key}: ${why.message}`);
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
    pages: entry.pages,
    changed_words: entry.changedWords,
    raw_bytes: entry.rawBytes,
    stored_bytes: entry.bytes,
    pause_ms: entry.metrics['pauseMs'] ?? null,
    key: entry.key,
  };
}

function table(entries: readonly CheckpointEntry[], namesOf: (entry: CheckpointEntry) => string[]): string {
  if (entries.length === 0) return 'no checkpoints';
  const rows = new Table({
    head: ['checkpoint', 'machine', 'seq', 'captured', 'kind', 'pages', 'stored', 'pause', 'tags'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'left', 'right', 'left', 'left', 'right', 'right', 'right', 'left'],
  });
  for (const entry of entries) {
    const pause = entry.metrics['pauseMs'];
    rows.push([
      shortId(entry.id),
      entry.machineId,
      entry.sequence,
      time(entry.capturedAtMs),
      entry.kind,
      count(entry.pages),
      bytes(entry.bytes),
      typeof pause === 'number' ? `${pause.toFixed(1)} ms` : '-',
      namesOf(entry).join(' '),
    ]);
  }
  return rows.toString();
}
