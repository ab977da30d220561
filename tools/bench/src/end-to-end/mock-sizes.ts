import { rm } from 'node:fs/promises';
import path from 'node:path';
import { availableBytes } from '../available-memory.js';
import type { BenchContext } from '../context.js';
import type { Row } from '../section.js';
import { median } from '../timing.js';
import type { MockIncrement } from './mock-child.js';
import { MockProcess } from './mock-process.js';

const GIB = 2 ** 30;
/** The same seed and working set at all sizes, and so the same dirty pages and the same words in them. */
const WORKLOAD = 'workload=kv&seed=11&working=64M&rate=2000';

interface Size {
  readonly name: string;
  readonly memory: number;
  readonly resident: number;
}

/** Increments of machines of different sizes with the same dirty set, each against the smallest in turns. */
export async function mockSizes(context: BenchContext): Promise<Row[]> {
  const unit = context.quick ? GIB / 8 : GIB;
  const size = (times: number, memory = times): Size => ({
    name: `mock, ${label(times * unit)} resident${memory > times ? ` of ${label(memory * unit)}` : ''}`,
    memory: memory * unit,
    resident: times * unit,
  });
  const reference = size(1);
  const rows: Row[] = [];
  for (const other of [size(2), size(8), size(1, 64)]) {
    const free = await availableBytes();
    // The machine's memory and its image, of both machines, and room for the rest of what they do.
    const needed = 2.15 * (other.resident + reference.resident) + GIB / 2;
    if (free < needed) {
      const why = `${label(needed)} of memory are needed and ${label(free)} are available`;
      context.log(`SKIPPED ${other.name}: ${why}`);
      rows.push({ name: other.name, variant: `SKIPPED: ${why}`, value: NaN, unit: '' });
      continue;
    }
    context.log(`${other.name}, in turns with ${reference.name}`);
    rows.push(...(await inTurns(context, reference, other)));
  }
  return rows;
}

async function inTurns(context: BenchContext, reference: Size, other: Size): Promise<Row[]> {
  const directory = await context.temporaryDirectory();
  const small = await MockProcess.start(locationOf(reference), path.join(directory, 'small'));
  const large = await MockProcess.start(locationOf(other), path.join(directory, 'large'));
  try {
    const samples: { small: MockIncrement; large: MockIncrement }[] = [];
    const rounds = context.quick ? 15 : 40;
    for (let round = -3; round < rounds; round++) {
      const first = round % 2 === 0 ? small : large;
      const before = await first.increment();
      const after = await (first === small ? large : small).increment();
      const sample = first === small ? { small: before, large: after } : { small: after, large: before };
      if (round >= 0) samples.push(sample);
    }
    return rowsOf(reference, other, samples);
  } finally {
    await Promise.all([small.stop(), large.stop()]);
    await rm(directory, { recursive: true, force: true });
  }
}

function rowsOf(
  reference: Size,
  other: Size,
  samples: readonly { readonly small: MockIncrement; readonly large: MockIncrement }[],
): Row[] {
  const of = (pick: (increment: MockIncrement) => number) => ({
    small: median(samples.map(({ small }) => pick(small))),
    large: median(samples.map(({ large }) => pick(large))),
  });
  const time = of((increment) => increment.timeMs);
  const bytes = of((increment) => increment.bytes);
  const ratio = median(samples.map(({ small, large }) => large.timeMs / small.timeMs));
  const ratioTo = reference.name;
  const against = { ratioTo, target: { of: 'ratio', atMost: 1.2 } as const };
  const { name } = other;
  const pause = of((increment) => increment.pauseMs);
  return [
    { name, variant: 'time of an increment', value: time.large, unit: 'ms', ratio, ...against },
    { name, variant: `the same of ${reference.name}`, value: time.small, unit: 'ms' },
    {
      name,
      variant: 'bytes of it',
      value: bytes.large,
      unit: 'B',
      ratio: bytes.large / bytes.small,
      ratioTo,
    },
    { name, variant: 'pause p50', value: pause.large, unit: 'ms', ratio: pause.large / pause.small, ratioTo },
    { name, variant: 'dirty pages', value: of((increment) => increment.dirtyPages).large, unit: 'pages' },
    { name, variant: 'changed words', value: of((increment) => increment.changedWords).large, unit: 'words' },
  ];
}

function locationOf({ memory, resident }: Size): string {
  // A little memory beside what is resident, as the working set must leave room.
  const query = `memory=${Math.min(memory / 2 ** 20 + 16, 65_536)}M&resident=${resident / 2 ** 20}M`;
  return `mock:bench?${query}&${WORKLOAD}`;
}

function label(bytes: number): string {
  return bytes >= GIB ? `${Math.round((bytes / GIB) * 10) / 10} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}
