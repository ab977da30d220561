import { FitdocError } from '@fitdoc/interface';

const FACTORS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  y: 365 * 86_400_000,
};

/** `500ms`, `1s`, `2.5m`, `1h`; a bare number is seconds. */
export function interval(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|min|h|d|w|y)?$/.exec(text);
  const value = match ? Number(match[1]) * (FACTORS[match[2] ?? 's'] ?? 1000) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new FitdocError(
    'ARGUMENT_INVALID',
    `${name} takes a time such as 500ms, 1s or 5m, not ${JSON.stringify(text)}.`,
  );
}
