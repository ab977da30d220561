/** One way of doing what all contenders of a comparison do. */
export interface Contender {
  readonly name: string;
  /** Brings everything to the state that `run` starts from; not timed, called before each sample. */
  readonly prepare?: () => void | Promise<void>;
  readonly run: () => void | Promise<void>;
}

export interface CompareOptions {
  /** Samples of each contender. Default 15. */
  readonly rounds?: number;
  /**
   * Shortest duration of a sample, in milliseconds: a faster `run` is repeated within one. Default 2. With
   * 0, or for a contender with `prepare`, a sample is one run.
   */
  readonly sampleMs?: number;
  /** Untimed time before, in which each contender is compiled and fills the caches. Default 60 ms each. */
  readonly warmUpMs?: number;
}

/** Milliseconds of one run. */
export interface Timing {
  readonly samples: readonly number[];
  readonly minimum: number;
  readonly median: number;
}

/**
 * Times the contenders in turns, a sample of each a round, so that what disturbs the machine disturbs all of
 * them; the order turns from round to round. Results by name.
 */
export async function compare(
  contenders: readonly Contender[],
  { rounds = 15, sampleMs = 2, warmUpMs = 60 }: CompareOptions = {},
): Promise<Map<string, Timing>> {
  const repeats: number[] = [];
  for (const contender of contenders) {
    const once = await warmUp(contender, warmUpMs);
    repeats.push(contender.prepare ? 1 : Math.max(1, Math.ceil(sampleMs / once)));
  }
  const samples = contenders.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (round + turn) % contenders.length;
      samples[index]?.push(await sample(contenders[index] as Contender, repeats[index] as number));
    }
  }
  return new Map(contenders.map(({ name }, index) => [name, summarize(samples[index] as number[])]));
}

/** The middle of the ratios of samples taken in the same round: steadier than a ratio of two medians. */
export function pairedRatio(timing: Timing, base: Timing): number {
  return median(timing.samples.map((value, round) => value / (base.samples[round] as number)));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Returns the shortest time of one run. */
async function warmUp(contender: Contender, milliseconds: number): Promise<number> {
  const end = performance.now() + milliseconds;
  let shortest = Infinity;
  do {
    shortest = Math.min(shortest, await sample(contender, 1));
  } while (performance.now() < end);
  return Math.max(shortest, 1e-4);
}

async function sample(contender: Contender, repeats: number): Promise<number> {
  await contender.prepare?.();
  const start = process.hrtime.bigint();
  for (let i = 0; i < repeats; i++) {
    // Awaited only when there is something to wait for: a turn of the event loop would count as time.
    const pending = contender.run();
    if (pending) await pending;
  }
  return Number(process.hrtime.bigint() - start) / 1e6 / repeats;
}

function summarize(samples: readonly number[]): Timing {
  return { samples, minimum: Math.min(...samples), median: median(samples) };
}
