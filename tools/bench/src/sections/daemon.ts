import { access } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchContext } from '../context.js';
import { BenchDaemon, type MachineFigures } from '../daemon/running.js';
import type { Row, Section } from '../section.js';

const MIB = 2 ** 20;
const DAEMON = path.resolve(import.meta.dirname, '../../../../apps/daemon/dist/main.js');

export const section: Section = {
  name: 'daemon',
  title: 'The daemon: checkpoints it sustains, memory it takes, time from a kill to protection',
  requires: () =>
    access(DAEMON).then(
      () => undefined,
      () => 'apps/daemon is not built',
    ),
  run: async (context) => [
    ...(await oneMachine(context)),
    ...(await manyMachines(context)),
    ...(await afterKill(context)),
  ],
};

function machine(name: string, memory: string, every: string): string {
  return `[machines.${name}]\nlocation = "mock:${name}?memory=${memory}&workload=kv"\nrepository = "local"\nevery = "${every}"\n`;
}

/** One 256 MiB machine as often as it goes. */
async function oneMachine(context: BenchContext): Promise<Row[]> {
  const seconds = context.quick ? 5 : 30;
  const daemon = new BenchDaemon(await context.temporaryDirectory());
  await daemon.configure(machine('m', '256M', '1ms'));
  daemon.start();
  try {
    const before = total(await daemon.until((all) => (all[0]?.checkpoints ?? 0) > 2));
    const started = performance.now();
    await sleep(seconds * 1000);
    const after = total(await daemon.machines());
    const rate = ((after - before) / (performance.now() - started)) * 1000;
    return [
      {
        name: 'one 256 MiB mock, without a pause between',
        variant: 'fitdocd',
        value: rate,
        unit: 'checkpoints/s',
      },
    ];
  } finally {
    await daemon.stop();
  }
}

/** Thirty-two of them once a second, and what memory that takes beside the guests' own. */
async function manyMachines(context: BenchContext): Promise<Row[]> {
  const seconds = context.quick ? 5 : 30;
  const count = context.quick ? 8 : 32;
  const daemon = new BenchDaemon(await context.temporaryDirectory());
  const names = Array.from({ length: count }, (_, index) => `m${index}`);
  await daemon.configure(names.map((name) => machine(name, '256M', '1s')).join(''));
  daemon.start();
  try {
    const ready = await daemon.until(
      (all) => all.length === count && all.every((each) => each.checkpoints > 1),
      600_000,
    );
    const before = total(ready);
    const missedBefore = sum(ready, ({ missed }) => missed);
    const started = performance.now();
    await sleep(seconds * 1000);
    const machines = await daemon.machines();
    const rate = ((total(machines) - before) / (performance.now() - started)) * 1000;
    const resident = await daemon.memory();
    const images = sum(machines, ({ imageBytes }) => imageBytes ?? 0);
    const guests = sum(machines, ({ memoryBytes }) => memoryBytes ?? 0);
    const name = `${count} mocks of 256 MiB, once a second`;
    return [
      {
        name,
        variant: 'fitdocd',
        value: rate,
        unit: 'checkpoints/s',
        ratio: rate / count,
        ratioTo: 'asked for',
      },
      {
        name,
        variant: 'left out',
        value: sum(machines, ({ missed }) => missed) - missedBefore,
        unit: 'checkpoints',
      },
      // The mock guests live in the daemon too; the images are what protection adds for real ones.
      {
        name,
        variant: 'memory of images',
        value: images / MIB / (guests / 2 ** 30),
        unit: 'MiB per protected GiB',
      },
      {
        name,
        variant: 'memory of the process, guests included',
        value: resident / MIB / (guests / 2 ** 30),
        unit: 'MiB per protected GiB',
      },
    ];
  } finally {
    await daemon.stop();
  }
}

/** From SIGKILL until a daemon that is started at once has stored the next checkpoint of its machine. */
async function afterKill(context: BenchContext): Promise<Row[]> {
  const daemon = new BenchDaemon(await context.temporaryDirectory());
  await daemon.configure(machine('m', '256M', '200ms'));
  const times: number[] = [];
  try {
    for (let round = 0; round < (context.quick ? 2 : 5); round++) {
      daemon.start();
      await daemon.until((all) => (all[0]?.checkpoints ?? 0) > 1);
      const killed = performance.now();
      await daemon.stop('SIGKILL');
      daemon.start();
      await daemon.until((all) => (all[0]?.checkpoints ?? 0) > 0);
      times.push(performance.now() - killed);
      await daemon.stop('SIGKILL');
    }
  } finally {
    await daemon.stop();
  }
  times.sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  return [
    {
      name: 'from SIGKILL to the next durable checkpoint',
      variant: 'fitdocd, 256 MiB mock',
      value: median,
      unit: 'ms',
    },
  ];
}

function total(machines: readonly MachineFigures[]): number {
  return sum(machines, ({ checkpoints }) => checkpoints);
}

function sum(machines: readonly MachineFigures[], of: (machine: MachineFigures) => number): number {
  return machines.reduce((all, machine) => all + of(machine), 0);
}
