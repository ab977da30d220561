// Kills daemons at random moments, and fills their disks: tsx src/main.ts [--rounds N] [--seed S] [--lanes L] [--keep-last K].
import { parseArgs } from 'node:util';
import { missingForKvm } from '../../lab/src/qemu/index.js';
import { runRounds } from './rounds.js';
import { missingForSmallDisks } from '../../lab/src/small-disk.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: process.env['FITDOC_RELIABILITY_ROUNDS'] ?? '200' },
    seed: { type: 'string', default: process.env['FITDOC_RELIABILITY_SEED'] ?? String(Date.now() % 2 ** 32) },
    lanes: { type: 'string', default: '2' },
    'keep-last': { type: 'string' },
  },
});

const say = (line: string): boolean => process.stdout.write(`${line}\n`);
// What was started and mounted is taken away at the exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const kvm = await missingForKvm();
const disks = await missingForSmallDisks();
for (const missing of [kvm, disks]) if (missing !== undefined) say(`without ${missing}`);
say(`${values.rounds} rounds, FITDOC_RELIABILITY_SEED=${values.seed}`);
const tally = await runRounds({
  rounds: Number(values.rounds),
  seed: Number(values.seed),
  lanes: Number(values.lanes),
  ...(values['keep-last'] !== undefined && { keepLast: Number(values['keep-last']) }),
  kvm: kvm === undefined,
  smallDisks: disks === undefined,
  onRound: ({ rounds, lost, committed }) => {
    if (rounds % 20 === 0) say(`${rounds} rounds, ${committed} committed, ${lost} lost`);
  },
});
tally.lines().forEach(say);
process.exitCode = tally.findings.length > 0 ? 1 : 0;
