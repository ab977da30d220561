import type { CheckpointResult, PauseHookOutcome } from '@fitdoc/engine';
import { PAGE_SIZE, type PauseBudgetOutcome } from '@fitdoc/interface';
import { bytes, count, milliseconds, percent, shortId } from './units.js';

const COLUMNS: readonly (readonly [title: string, width: number])[] = [
  ['seq', 6],
  ['checkpoint', 12],
  ['pause', 9],
  ['dirty', 10],
  ['words', 11],
  ['stored', 10],
  ['of dirty', 8],
  ['commit', 9],
  ['rate', 12],
];

export function checkpointHeading(): string {
  return COLUMNS.map(([title, width], index) => align(title, width, index)).join('  ');
}

/** One checkpoint in one line, under the heading. */
export function checkpointLine({ entry, cost }: CheckpointResult): string {
  const dirtyBytes = cost.dirtyPages * PAGE_SIZE;
  const cells = [
    String(entry.sequence),
    shortId(entry.id),
    milliseconds(cost.pauseMs),
    `${count(cost.dirtyPages)} p`,
    count(cost.changedWords),
    bytes(entry.bytes),
    percent(entry.bytes, dirtyBytes),
    milliseconds(cost.commitMs),
    cost.commitMs > 0 ? `${bytes(Math.round((dirtyBytes / cost.commitMs) * 1000))}/s` : '-',
  ];
  const over = cost.pauseBudget?.kept === false ? `  over ${cost.pauseBudget.maxMs} ms` : '';
  const read = cost.disks.reduce((sum, disk) => sum + disk.readBytes, 0);
  const disks = cost.disks.length > 0 ? `  ${cost.disks.length} disk(s), ${bytes(read)} read` : '';
  const marks = (entry.kind === 'base' ? '  base' : '') + over + disks;
  return cells.map((cell, index) => align(cell, COLUMNS[index]?.[1] ?? 0, index)).join('  ') + marks;
}

/** The same as JSON; the field names are part of the interface. */
export function checkpointMessage({ entry, cost }: CheckpointResult): Record<string, unknown> {
  return {
    message_type: 'checkpoint',
    id: entry.id,
    sequence: entry.sequence,
    kind: entry.kind,
    machine: entry.machineId,
    captured_at: new Date(entry.capturedAtMs).toISOString(),
    pause_ms: rounded(cost.pauseMs),
    ...(cost.pauseBudget && { pause_budget: budgetMessage(cost.pauseBudget) }),
    dirty_pages: cost.dirtyPages,
    unchanged_pages: cost.unchangedPages,
    changed_words: cost.changedWords,
    raw_bytes: cost.dirtyPages * PAGE_SIZE,
    stored_bytes: entry.bytes,
    commit_ms: rounded(cost.commitMs),
    ...(cost.pauseHook && { pause_hook: hookMessage(cost.pauseHook) }),
    ...(cost.quiesced && {
      quiesced: { frozen_ms: rounded(cost.quiesced.frozenMs), failure: cost.quiesced.failure ?? null },
    }),
    ...(cost.disks.length > 0 && {
      disks: cost.disks.map(({ name, readBytes, changedBlocks }) => ({
        name,
        read_bytes: readBytes,
        changed_blocks: changedBlocks,
      })),
    }),
  };
}

function hookMessage({ ms, output, failure }: PauseHookOutcome): Record<string, unknown> {
  return { ms: rounded(ms), output, failure: failure ?? null };
}

function budgetMessage({ maxMs, estimatedMs, waitedMs, kept }: PauseBudgetOutcome): Record<string, unknown> {
  return {
    max_ms: maxMs,
    estimated_ms: estimatedMs === undefined ? null : rounded(estimatedMs),
    waited_ms: rounded(waitedMs),
    kept,
  };
}

function align(text: string, width: number, index: number): string {
  return index === 1 ? text.padEnd(width) : text.padStart(width);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
