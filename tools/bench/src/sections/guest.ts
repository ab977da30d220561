import path from 'node:path';
import {
  missingForKvm,
  missingForQemu,
  startGuest,
  waitForHeartbeats,
  type RunningGuest,
} from '../../../lab/src/qemu/index.js';
import type { BenchContext } from '../context.js';
import { loadRow } from '../end-to-end/load.js';
import { Monitor } from '../end-to-end/monitor.js';
import { freePort, startRedisGuest } from '../end-to-end/redis-guest.js';
import { askedGuests, selectGuests } from '../end-to-end/which-guests.js';
import { RedisClient } from '../guest/redis-client.js';
import { nameOf, WITHOUT, workRows } from '../guest/rows.js';
import { turn, type Done } from '../guest/turn.js';
import { byDraining, byFitdoc, type Subject, type Taking } from '../guest/ways.js';
import { beatsOf, commandsOf, type Work } from '../guest/work.js';
import { askedMinutes } from '../minutes.js';
import type { Row, Section } from '../section.js';

const INTERVALS: readonly (readonly [string, number])[] = [
  ['5 s', 5_000],
  ['1 s', 1_000],
  ['200 ms', 200],
];
/** No multiple of 256 KiB: QEMU before 9.0 loses dirty pages of emulated guests that are one. */
const ONE_GIB_AND_ODD = 1024 * 1024 + 8;

interface Started {
  readonly guest: RunningGuest;
  readonly work: Work;
  readonly close: () => void;
}

interface Candidate {
  readonly name: string;
  readonly config: Subject['config'];
  missing(): Promise<string | undefined>;
  readonly start: () => Promise<Started>;
}

const CANDIDATES: readonly Candidate[] = [
  {
    name: 'KVM 192 MiB, bare metal, 48 pages a beat, one after the other',
    ...{ config: {}, missing: missingForKvm },
    async start() {
      const firmwareHeart = { mib: 2, pages: 48, ticks: 0 };
      const guest = await startGuest({
        ...{ accel: 'kvm', memoryKib: 192 * 1024, firmwareHeart },
        extraArgs: ['-qmp', 'unix:monitor.sock,server=on,wait=off'],
      });
      await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 0);
      return { guest, work: beatsOf(guest), close: () => undefined };
    },
  },
  {
    name: 'QEMU 1 GiB, emulated, redis under load',
    ...{ config: { mode: 'colo' }, missing: missingForQemu },
    async start() {
      const port = await freePort();
      const load = { rows: 150_000, keys: 60_000, writers: 4 };
      const guest = await startRedisGuest(ONE_GIB_AND_ODD, { ...load, port });
      const client = await RedisClient.connect(port);
      return { guest, work: commandsOf(client), close: () => client.close() };
    },
  },
];

export const section: Section = {
  name: 'guest',
  title: 'What protection costs the guest: its work by the clock of the host, in turns',
  async run(context) {
    const rows: Row[] = [loadRow('before')];
    for (const candidate of selectGuests(CANDIDATES, askedGuests())) {
      const missing = await candidate.missing();
      if (missing === undefined) rows.push(...(await oneGuest(context, candidate)));
      else context.log(`SKIPPED ${candidate.name}: ${missing}`);
    }
    return [...rows, loadRow('after')];
  },
};

async function oneGuest(context: BenchContext, { name, config, start }: Candidate): Promise<Row[]> {
  context.log(`${name}: starting`);
  const { guest, work, close } = await start();
  const monitor = await Monitor.connect(path.join(guest.directory, 'monitor.sock'));
  const directory = (): Promise<string> => context.temporaryDirectory();
  try {
    const turns = await inTurns(context, work, { qmpPath: guest.qmpPath, monitor, config, directory });
    return workRows(
      name,
      work.unit,
      turns,
      INTERVALS.map(([every]) => every),
    );
  } finally {
    close();
    monitor.close();
    await guest.stop();
  }
}

interface Way {
  readonly name: string;
  readonly everyMs?: number;
  readonly begin?: (subject: Subject) => Promise<Taking>;
}

const WAYS: readonly Way[] = [
  { name: WITHOUT },
  ...INTERVALS.flatMap(([every, everyMs]): Way[] => [
    { name: nameOf('fitdoc', every), everyMs, begin: byFitdoc },
    { name: nameOf('drain', every), everyMs, begin: byDraining },
  ]),
];

async function inTurns(
  context: BenchContext,
  work: Work,
  subject: Subject,
): Promise<ReadonlyMap<string, readonly Done[]>> {
  const turnMs = context.quick ? 5_500 : 20_500;
  const rounds = context.quick
    ? 1
    : Math.max(3, Math.ceil(((askedMinutes() ?? 0) * 60_000) / (WAYS.length * turnMs)));
  const turns = new Map(WAYS.map(({ name }): [string, Done[]] => [name, []]));
  for (let round = 0; round < rounds; round++) {
    context.log(`round ${round + 1} of ${rounds}`);
    const order = round % 2 === 0 ? WAYS : [...WAYS].reverse();
    for (const { name, everyMs, begin } of order) {
      const by = await begin?.(subject);
      try {
        turns.get(name)!.push(await turn(work, turnMs, by && { by, everyMs: everyMs! }));
      } finally {
        await by?.end();
      }
    }
  }
  return turns;
}
