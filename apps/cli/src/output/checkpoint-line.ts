import type { CheckpointResult } from '@fitdoc/engine';
import { PAGE_SIZE } from '@fitdoc/interface';
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
  const marks = entry.kind === 'base' ? '  base' : '';
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
    dirty_pages: cost.dirtyPages,
    unchanged_pages: cost.unchangedPages,
    changed_words: cost.changedWords,
    raw_bytes: cost.dirtyPages * PAGE_SIZE,
    stored_bytes: entry.bytes,
    commit_ms: rounded(cost.commitMs),
  };
}

function align(text: string, width: number, index: number): string {
  return index === 1 ? text.padEnd(width) : text.padStart(width);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
