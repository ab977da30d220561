import type { BenchContext } from '../context.js';
import { DrawnHistory } from '../history/drawn.js';
import { measureGrowth, type Growth } from '../history/growth.js';
import { guestNames, openGuest } from '../history/guests.js';
import { flatness, look, type Look } from '../history/look.js';
import { POLICY } from '../history/policy.js';
import type { Row, Section } from '../section.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

const SPANS = [
  ['10 minutes', HOUR / 6],
  ['1 hour', HOUR],
  ['1 day', DAY],
  ['30 days', 30 * DAY],
  ['1 year', 365 * DAY],
] as const;

/** Seconds from plan to plan: a merger further behind than this makes ways longer than the bound. */
const PLANNED_EVERY = 8;
/** Longer than a day only the end is captured a second each; what is older than so many seconds, so many each. */
const COARSENED = [
  [(2 * DAY + 2 * HOUR) / SECOND, 3_600],
  [(3 * HOUR) / SECOND, 60],
] as const;
/** All of it a second each, for who has hours. */
const IS_FINE = process.env['HISTORY_FINE'] === '1';

/** Milliseconds for which a guest is run to measure it. */
const MEASURED_MS = 15_000;

export const section: Section = {
  name: 'history',
  title:
    'A history of checkpoints a second under tiers, on a virtual clock (sizes drawn from measured guests; planner and catalogue are the real ones)',
  async run(context) {
    const all = await guestNames();
    const asked = process.env['HISTORY_GUESTS']?.split(',');
    const names = asked ?? (context.quick ? ['mock:kv', 'mock:idle'] : all);
    const last = process.env['HISTORY_SPAN'] ?? (context.quick ? '10 minutes' : '1 year');
    const until = SPANS.findIndex(([name]) => name === last);
    context.log(
      `guests: ${names.join(', ')}${all.some((name) => name.startsWith('rec:')) ? '' : '; NO RECORDINGS here'}`,
    );
    const rows: Row[] = [];
    for (const name of names) rows.push(...(await measure(context, name, SPANS.slice(0, until + 1))));
    return rows;
  },
};

async function measure(
  context: BenchContext,
  name: string,
  spans: readonly (readonly [string, number])[],
): Promise<Row[]> {
  const growth = await grown(context, name);
  const history = new DrawnHistory(POLICY, Date.UTC(2026, 0, 1, 0, 0, 7), growth);
  const looks: Look[] = [];
  for (const [span, spanMs] of spans) {
    const isFine = IS_FINE || spanMs <= DAY;
    // What is measured of coarser captures is no reason for another ladder.
    if (!isFine) history.fix(history.thin().ladder);
    const before = { ...history.plans };
    const began = performance.now();
    const worst = await live(history, spanMs / SECOND, isFine);
    const seconds = (performance.now() - began) / 1_000;
    const plans = history.plans.all - before.all;
    context.log(
      `${name}, ${span}: ${seconds.toFixed(0)} s; ${plans} plans, ${history.plans.whole - before.whole} of them over all`,
    );
    looks.push(await look(context, history, { name: `${name}, ${span}`, spanMs, worst, before, isFine }));
  }
  return [...looks.flatMap(({ rows }) => rows), ...flatness(name, looks)];
}

async function grown(context: BenchContext, name: string): Promise<Growth> {
  const guest = await openGuest(name);
  try {
    const growth = await measureGrowth(guest, context.quick ? 500 : MEASURED_MS);
    const kilobytes = (seconds: number) => (growth.bytesOf(seconds) / 1_024).toFixed(0);
    context.log(
      `${name}: ${growth.measured} seconds run; KiB of 1, 60, 3600 seconds and a base: ${[1, 60, 3_600].map(kilobytes).join(', ')}, ${(growth.baseBytes / 1_024).toFixed(0)}`,
    );
    return growth;
  } finally {
    await guest.end();
  }
}

/** Goes on to a second; the most objects that any plan saw a restore take. */
async function live(history: DrawnHistory, until: number, isFine: boolean): Promise<number> {
  let worst = 0;
  let turn = 0;
  while (history.seconds < until) {
    history.capture(isFine ? 1 : stepAt(until - history.seconds));
    if (++turn % PLANNED_EVERY !== 0 && history.seconds < until) continue;
    worst = Math.max(worst, history.thin().path.worst);
    if (turn % 4_096 < PLANNED_EVERY) await new Promise((resolve) => setImmediate(resolve));
  }
  // What the last captures closed is merged, as a moment later.
  for (let round = 0; round < 3; round++) history.thin();
  return worst;
}

/** Seconds to the next capture: thinning leaves an hour each of what is so old at the end, or a minute each. */
function stepAt(left: number): number {
  return (COARSENED.find(([least]) => left > least) ?? [0, 1])[1];
}
