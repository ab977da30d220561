import os from 'node:os';
import { isMet, type Row, type Section, type Target } from './section.js';

export interface SectionResult {
  readonly section: Section;
  readonly rows: readonly Row[];
  /** Why it was not run. */
  readonly skipped?: string;
  /** How it failed. */
  readonly failed?: string;
}

export interface BenchDocument {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly system: string;
  };
  readonly node: string;
  readonly quick: boolean;
  readonly startedAtMs: number;
  readonly sections: Readonly<Record<string, readonly Row[]>>;
  readonly skipped: Readonly<Record<string, string>>;
  readonly failed: Readonly<Record<string, string>>;
}

/** The JSON document that `--json` writes. */
export function toDocument(
  results: readonly SectionResult[],
  quick: boolean,
  startedAtMs: number,
): BenchDocument {
  const named = (pick: (result: SectionResult) => string | undefined): Record<string, string> =>
    Object.fromEntries(
      results.flatMap((result) => {
        const text = pick(result);
        return text === undefined ? [] : [[result.section.name, text]];
      }),
    );
  const ran = results.filter(({ skipped, failed }) => skipped === undefined && failed === undefined);
  return {
    machine: {
      cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
      cores: os.availableParallelism(),
      memoryBytes: os.totalmem(),
      system: `${os.type()} ${os.release()} ${os.arch()}`,
    },
    node: process.version,
    quick,
    startedAtMs,
    sections: Object.fromEntries(ran.map(({ section, rows }) => [section.name, rows])),
    skipped: named(({ skipped }) => skipped),
    failed: named(({ failed }) => failed),
  };
}

/** A section's rows as a table for people. */
export function toTable({ section, rows, skipped, failed }: SectionResult): string {
  const heading = `\n${section.title}  [${section.name}]`;
  if (skipped !== undefined) return `${heading}\n  skipped: ${skipped}`;
  if (failed !== undefined) return `${heading}\n  FAILED: ${failed}`;
  const cells = rows.map((row, index) => [
    row.name === rows[index - 1]?.name ? '' : row.name,
    row.variant,
    figure(row.value),
    row.unit,
    row.ratio === undefined ? '' : `${figure(row.ratio)} x ${row.ratioTo ?? ''}`.trimEnd(),
    verdict(row),
  ]);
  const titles = ['', 'variant', 'value', 'unit', 'ratio', 'target'];
  return `${heading}\n${layOut([titles, ...cells])}`;
}

/** Rows that miss their targets, one line each. */
export function misses(results: readonly SectionResult[]): string[] {
  return results.flatMap(({ section, rows }) =>
    rows
      .filter((row) => isMet(row) === false)
      .map((row) => `${section.name}: ${row.name}, ${row.variant}: ${verdict(row)}`),
  );
}

function verdict(row: Row): string {
  if (!row.target) return '';
  const shown = row.target.of === 'value' ? row.value : row.ratio;
  return isMet(row)
    ? `${describe(row.target)} met`
    : `${describe(row.target)} MISSED (${shown === undefined ? 'no figure' : figure(shown)})`;
}

function describe({ of, atMost, atLeast }: Target): string {
  const bound = atMost === undefined ? `>= ${atLeast ?? '?'}` : `<= ${atMost}`;
  return of === 'ratio' ? `ratio ${bound}` : bound;
}

/** Three significant digits, and all digits before the point. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return Number(value.toPrecision(3)).toString();
}

const RIGHT_ALIGNED = 2;

function layOut(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return column === RIGHT_ALIGNED ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `  ${line}`)
    .join('\n');
}
