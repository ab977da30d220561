import type { BenchContext } from '../context.js';
import { Supervised } from '../daemon/supervised.js';
import { countRows, quantileRows, takeTurn, turnsOf, type Side } from '../daemon/turns.js';
import { loadRow } from '../end-to-end/load.js';
import { askedMinutes } from '../minutes.js';
import type { Row, Section } from '../section.js';

const MACHINES = 4;
const GROUPS = ['without merging', 'with merging'] as const;

export const section: Section = {
  name: 'merging',
  title: 'Time from capture to durable with histories merged meanwhile, and without, in turns',
  async run(context) {
    const before = loadRow('before');
    const supervised = await Supervised.start(await context.temporaryDirectory(), machines());
    try {
      return [...(await inTurns(context, supervised)), before, loadRow('after')];
    } finally {
      await supervised.stop();
    }
  },
};

/** Two groups of the same guests under the same rules, one of which is merged. */
function machines(): Record<string, string[]> {
  const entries = GROUPS.flatMap((_, group) =>
    namesOf(group).map((name, index): [string, string[]] => [
      name,
      [
        `location = "mock:${name}?memory=128M&resident=64M&workload=kv&seed=${index + 1}"`,
        ...['every = "250ms"', 'retention = { keep-last = 10 }', `merge = ${group === 1}`],
      ],
    ]),
  );
  return Object.fromEntries(entries);
}

function namesOf(group: number): string[] {
  return Array.from({ length: MACHINES }, (_, index) => `${group === 1 ? 'merged' : 'plain'}-${index}`);
}

async function inTurns(context: BenchContext, supervised: Supervised): Promise<Row[]> {
  const { rounds, turnMs } = turnsOf(askedMinutes() ?? 4, context.quick);
  const sides = GROUPS.map((name): Side => ({ name, turns: [], merged: [] }));
  const all = [...namesOf(0), ...namesOf(1)];
  // Merging begins when there is something to merge.
  await supervised.only(namesOf(1));
  await supervised.until(() => supervised.merged(namesOf(1)).merges > 0, 60_000, 'something is merged');
  for (let round = 0; round < rounds; round++) {
    context.log(`round ${round + 1} of ${rounds}`);
    for (const group of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const kind = { names: namesOf(group), watched: all, isMerging: group === 1 };
      const { taken, merged } = await takeTurn(supervised, kind, turnMs, (message) => context.log(message));
      sides[group]?.turns.push(taken.map(({ durableMs }) => durableMs));
      sides[group]?.merged.push(merged);
    }
  }
  const [without, merging] = sides as [Side, Side];
  const what = `${MACHINES} mocks, 4 checkpoints a second each, capture to durable`;
  return [...quantileRows(what, without, merging, 1.1), ...countRows('seen in those turns', sides)];
}
