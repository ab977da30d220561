const SIZE = /^(\d+)([KMGT]?)(?:i?B)?$/i;
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m)?$/;
const FACTORS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes: a whole number with an optional K, M, G or T (powers of 1024). Undefined when it is none. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  return match ? Number(match[1]) * (FACTORS[(match[2] ?? '').toUpperCase()] ?? 1) : undefined;
}

/** Milliseconds: a number with an optional ms (the default), s or m. Undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (!match) return undefined;
  return Number(match[1]) * (match[2] === 's' ? 1000 : match[2] === 'm' ? 60_000 : 1);
}
