import { expect, it } from 'vitest';
import { gate } from '../../lab/src/gate.js';
import { missingForKvm } from '../../lab/src/qemu/index.js';
import { runRounds } from '../src/rounds.js';
import { missingForSmallDisks } from '../../lab/src/small-disk.js';

const rounds = Number(process.env['FITDOC_RELIABILITY_ROUNDS'] ?? 200);
const seed = Number(process.env['FITDOC_RELIABILITY_SEED'] ?? Date.now() % 2 ** 32);
const kvm = gate('kvm', await missingForKvm());
const disks = gate('mount', await missingForSmallDisks());
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

// Some minutes on two free cores; a machine that does ten other things takes as much longer.
const LIMIT_MS = rounds * 20_000;
const machines = kvm.skip ? 'mock machines' : 'real guests on KVM and mock machines';
const events = disks.skip ? 'kills' : 'kills and full disks';
const title = `loses no checkpoint and no guest in ${rounds} rounds of ${events} on ${machines}`;

it(kvm.title(disks.title(title)), { timeout: LIMIT_MS }, async () => {
  say(`FITDOC_RELIABILITY_SEED=${seed} repeats the moments of these ${rounds} rounds`);
  const tally = await runRounds({
    rounds,
    seed,
    kvm: !kvm.skip,
    smallDisks: !disks.skip,
    onRound: ({ rounds: done, committed, lost }) => {
      if (done % 20 === 0) say(`${done} rounds, ${committed} committed, ${lost} lost`);
    },
  });
  tally.lines().forEach(say);
  expect(tally.findings, tally.lines().join('\n')).toEqual([]);
  expect(tally.lost).toBe(0);
  expect(tally.rounds).toBe(rounds);
  expect(tally.kills).toBe(rounds);
  expect(tally.restored).toBeGreaterThanOrEqual(rounds);
  if (rounds < 100) return;
  expect(tally.earlyKills).toBeGreaterThan(0);
  if (!disks.skip) expect(tally.fulls).toBeGreaterThan(0);
  if (!kvm.skip) expect(tally.broughtBack).toBeGreaterThan(0);
});

const thinning = Math.ceil(rounds / 4);
it(
  kvm.title(`loses nothing that is kept in ${thinning} kills while checkpoints are merged away`),
  {
    timeout: thinning * 60_000,
  },
  async () => {
    const tally = await runRounds({
      rounds: thinning,
      seed,
      kvm: !kvm.skip,
      smallDisks: !disks.skip,
      keepLast: 6,
    });
    tally.lines().forEach(say);
    expect(tally.findings, tally.lines().join('\n')).toEqual([]);
    expect(tally.lost).toBe(0);
    expect(tally.kills).toBe(thinning);
    if (thinning < 10) return;
    expect(tally.midThinning).toBeGreaterThan(0);
    expect(tally.thinned).toBeGreaterThan(0);
  },
);
