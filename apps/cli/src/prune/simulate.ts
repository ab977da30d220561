import Table from 'cli-table3';
import { FitdocError } from '@fitdoc/interface';
import { simulatePolicy, unknownOverlap, type RetentionPolicy } from '@fitdoc/repository';
import { interval } from '../interval.js';
import { count } from '../output/units.js';
import type { Session } from '../session.js';

export interface SimulateOptions {
  readonly simulate?: string;
  readonly every?: string;
}

/** Shows what a policy keeps as time goes by. Reads and writes nothing. */
export function simulate(
  terminal: Session['terminal'],
  policy: RetentionPolicy,
  { simulate: span, every = '1s' }: SimulateOptions,
): void {
  const spanMs = spanOf(span ?? '');
  const everyMs = interval('--every', every);
  const overlap = unknownOverlap(everyMs);
  const { moments, ladder } = simulatePolicy(policy, overlap, { spanMs, everyMs });
  const table = new Table({
    head: ['after', 'taken', 'kept', 'back to', 'bytes, in bases', 'by rule'],
    style: { head: [], border: [], compact: true },
    colAligns: ['right', 'right', 'right', 'right', 'right', 'left'],
  });
  for (const { afterMs, taken, kept, reachMs, bytes, byRule } of moments) {
    const rules = Object.entries(byRule).map(([rule, number]) => `${rule} ${count(number)}`);
    const bases = (bytes / overlap.baseBytes).toFixed(1);
    table.push([stretch(afterMs), count(taken), count(kept), stretch(reachMs), bases, rules.join(', ')]);
  }
  terminal.line(table.toString());
  terminal.line(`a restore reads at most about ${ladder.pathObjects} objects`);
  terminal.note(
    'Bytes are for a guest that hardly writes a word twice, whose base weighs as much as 100 captures.',
  );
  terminal.data({
    message_type: 'simulation',
    moments: moments.map((moment) => ({
      after_ms: moment.afterMs,
      taken: moment.taken,
      kept: moment.kept,
      reach_ms: moment.reachMs,
      bytes_in_bases: moment.bytes / overlap.baseBytes,
      by_rule: moment.byRule,
    })),
    path_objects: ladder.pathObjects,
    levels: ladder.levels.map(({ name }) => name),
  });
}

function spanOf(text: string): number {
  if (/^\d/.test(text)) return interval('--simulate', text);
  throw new FitdocError(
    'ARGUMENT_INVALID',
    `--simulate needs a span with an end, not ${JSON.stringify(text)}.`,
    {
      hint: 'Write how long, such as 30d or 1y.',
    },
  );
}

function stretch(milliseconds: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const;
  const [unit, size] = units.find(([, each]) => milliseconds >= each) ?? ['s', 1_000];
  return `${Number((milliseconds / size).toFixed(1))}${unit}`;
}
