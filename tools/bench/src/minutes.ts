/** Minutes that a section is asked for with BENCH_MINUTES; undefined without it. Throws where it is no number of them. */
export function askedMinutes(text = process.env['BENCH_MINUTES']): number | undefined {
  if (text === undefined || text === '') return undefined;
  const minutes = Number(text);
  if (Number.isFinite(minutes) && minutes > 0) return minutes;
  throw new Error(`BENCH_MINUTES is "${text}": write how many minutes, BENCH_MINUTES=20`);
}
