import type { RetentionPolicy } from '../../src/index.js';

interface Taken {
  readonly capturedAtMs: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The stretch of UTC that a time falls into, as text. */
const STRETCHES: Readonly<Record<string, (ms: number) => string>> = {
  Minutely: (ms) => new Date(ms).toISOString().slice(0, 16),
  Hourly: (ms) => new Date(ms).toISOString().slice(0, 13),
  Daily: (ms) => new Date(ms).toISOString().slice(0, 10),
  // The Monday that it begins with.
  Weekly: (ms) => {
    const midnight = Math.floor(ms / DAY) * DAY;
    return new Date(midnight - ((new Date(ms).getUTCDay() + 6) % 7) * DAY).toISOString().slice(0, 10);
  },
  Monthly: (ms) => new Date(ms).toISOString().slice(0, 7),
  Yearly: (ms) => new Date(ms).toISOString().slice(0, 4),
};

/**
 * What a policy in UTC keeps of a machine's checkpoints, first to last as the machine counted them, as the package's
 * README has it: written down once more, in the simplest way, by nothing of the policy's own code.
 */
export function naivelyKept<One extends Taken>(
  taken: readonly One[],
  policy: RetentionPolicy,
  nowMs = Infinity,
): Set<One> {
  const lastFirst = [...taken].reverse();
  const times = new Map(naiveTimes(taken, nowMs).map((time, at) => [taken[at]!, time]));
  const head = times.get(lastFirst[0]!) ?? 0;
  const kept = new Set(lastFirst.slice(0, policy.keepLast ?? 0));
  const rule = (name: string) => (policy as Record<string, number | undefined>)[name] ?? 0;
  const within = (spanMs: number) =>
    lastFirst.filter((one) => spanMs > 0 && times.get(one)! >= head - spanMs);
  const lastOfEach = (name: string, some: readonly One[]) =>
    some.filter((one, at) => {
      const stretch = STRETCHES[name]!;
      return at === 0 || stretch(times.get(one)!) !== stretch(times.get(some[at - 1]!)!);
    });
  for (const name of ['keepWithinMs', 'keepAllForMs']) for (const one of within(rule(name))) kept.add(one);
  for (const name of Object.keys(STRETCHES)) {
    for (const one of lastOfEach(name, lastFirst).slice(0, rule(`keep${name}`))) kept.add(one);
    for (const one of lastOfEach(name, within(rule(`keep${name}ForMs`)))) kept.add(one);
  }
  return kept;
}

function naiveTimes(taken: readonly Taken[], nowMs: number): number[] {
  const told = taken.map(({ capturedAtMs }) => capturedAtMs);
  let may = told.map((ms) => ms <= nowMs + MINUTE);
  if (!may.includes(true)) may = told.map(() => true);
  const hour = (at: number) => Math.floor(told[at]! / HOUR);
  const weights = told.map((_, at) => {
    const before = told.findLastIndex((_, other) => other < at && may[other]);
    return before < 0 || hour(before) !== hour(at) ? 1_000_000 : 1;
  });
  // Of every checkpoint, the series of the most hours, then checkpoints, that ends with it.
  const longest: number[] = [];
  for (const [at, ms] of told.entries()) {
    const before = longest.filter((_, other) => may[other] && told[other]! <= ms);
    longest[at] = may[at] ? weights[at]! + Math.max(0, ...before) : 0;
  }
  const believed: number[] = [];
  for (let weight = Math.max(0, ...longest), next = told.length; weight > 0;) {
    let at = next - 1;
    while (!may[at] || longest[at] !== weight || told[at]! > (told[next] ?? Infinity)) at--;
    believed.unshift(at);
    weight -= weights[at]!;
    next = at;
  }
  const [first = 0] = believed;
  const lead = first > 0 ? naiveTimes(taken.slice(0, first), Infinity) : [];
  return told.map((_, at) => {
    if (at < first) return lead[at]! + told[first]! - lead[first - 1]!;
    const before = believed.findLast((other) => other <= at);
    const after = believed.find((other) => other >= at);
    if (before === undefined || after === undefined) return told[(before ?? after)!]!;
    const share = before === after ? 0 : (at - before) / (after - before);
    return told[before]! + (told[after]! - told[before]!) * share;
  });
}
