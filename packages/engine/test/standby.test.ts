import { createHash } from 'node:crypto';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { CheckpointSource, followMachine, type StandbyEvent } from '@fitdoc/engine';
import { isFitdocError, PAGE_SIZE, type DeviceState, type MachineInfo } from '@fitdoc/interface';
import { isIntact, Lineage, lastFirst, stateOf, type CheckpointEntry } from '@fitdoc/repository';
import { afterEach, expect, it } from 'vitest';
import { World } from './history-world.js';

/** As many as a test run has time for; more where somebody asks for them. */
const RUNS = Number(process.env['FITDOC_STANDBY_RUNS'] ?? 2);

let directories: string[] = [];
afterEach(async () => {
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
  directories = [];
});

async function place(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'fitdoc-standby-'));
  directories.push(made);
  return made;
}

interface Journal {
  at?: { state: string; id: string };
  going?: string;
  boot: string;
  settled?: boolean;
}

async function journalOf(directory: string): Promise<Journal> {
  return JSON.parse(await readFile(path.join(directory, 'standby.json'), 'utf8')) as Journal;
}

/** Brings the standby to the newest state, as a process that is started for that. */
async function advance(world: World, directory: string): Promise<StandbyEvent[]> {
  const { repository, machineId: machine } = world;
  const events: StandbyEvent[] = [];
  const request = { repository, location: 'memory:', machine, directory };
  for await (const event of followMachine(world.engine, request, { everyMs: 1, once: true }))
    events.push(event);
  return events;
}

interface Content {
  readonly pages: ReadonlyMap<number, string>;
  readonly devices: readonly string[];
}

const digest = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('hex');
const devicesOf = (states: readonly DeviceState[]): string[] =>
  states.map(({ name, bytes }) => name + digest(bytes));

/** What a restore of the checkpoint would be given. */
async function truth(world: World, entry: CheckpointEntry): Promise<Content> {
  return CheckpointSource.use(world.engine, world.repository, entry, {}, async (source) => {
    const pages = new Map<number, string>();
    for await (const { gfn, bytes } of source.pages())
      for (let at = 0; at < bytes.length; at += PAGE_SIZE)
        pages.set(gfn + at / PAGE_SIZE, digest(bytes.subarray(at, at + PAGE_SIZE)));
    return { pages, devices: devicesOf(source.deviceState) };
  });
}

/** What the directory holds, by its files alone. */
async function held(directory: string): Promise<Content> {
  const { at } = await journalOf(directory);
  const record = JSON.parse(await readFile(path.join(directory, `state-${at!.state}.json`), 'utf8')) as {
    info: MachineInfo;
    deviceState: { name: string; base64: string }[];
  };
  const main = [...record.info.regions].sort((one, other) => other.pages - one.pages)[0]!;
  const [memory, others] = await Promise.all(
    ['memory.ram', 'regions.ram'].map((name) => readFile(path.join(directory, name))),
  );
  expect(memory!.length).toBe(main.pages * PAGE_SIZE);
  const pages = new Map<number, string>();
  for (const region of record.info.regions) {
    const [file, origin] = region.name === main.name ? [memory!, main.firstGfn] : [others!, 0];
    for (let gfn = region.firstGfn; gfn < region.firstGfn + region.pages; gfn++) {
      const page = file.subarray((gfn - origin) * PAGE_SIZE, (gfn - origin + 1) * PAGE_SIZE);
      if (page.some((byte) => byte !== 0)) pages.set(gfn, digest(page));
    }
  }
  const states = record.deviceState.map(({ name, base64 }) => ({
    name,
    bytes: Buffer.from(base64, 'base64'),
  }));
  return { pages, devices: devicesOf(states) };
}

async function newest(world: World): Promise<CheckpointEntry | undefined> {
  const objects = (await world.repository.objects({ machine: world.machineId })).filter(isIntact);
  const lineage = new Lineage(objects);
  return lineage
    .states()
    .filter((entry) => lineage.cost(entry))
    .sort(lastFirst)[0];
}

/** As a process leaves the directory that was killed while it wrote the newest state: some of its pages are there. */
async function tear(world: World, directory: string, share: number): Promise<boolean> {
  const journal = await journalOf(directory);
  const target = await newest(world);
  if (!journal.at || journal.going !== undefined || !target || stateOf(target) === journal.at.state)
    return false;
  const lineage = new Lineage(
    (await world.repository.objects({ machine: world.machineId })).filter(isIntact),
  );
  // Only along increments is anything written over.
  if (lineage.parentOf(target)?.id !== journal.at.id) return false;
  const file = await open(path.join(directory, 'memory.ram'), 'r+');
  try {
    await CheckpointSource.use(world.engine, world.repository, target, {}, async (source) => {
      const main = [...source.info.regions].sort((one, other) => other.pages - one.pages)[0]!;
      for await (const { gfn, bytes } of source.pages({ regions: [main.name] }))
        for (let at = 0; at < bytes.length; at += PAGE_SIZE) {
          const page = gfn + at / PAGE_SIZE - main.firstGfn;
          if ((page * 7) % 10 < share) await file.write(bytes, at, PAGE_SIZE, page * PAGE_SIZE);
        }
    });
  } finally {
    await file.close();
  }
  const torn = { ...journal, going: stateOf(target), settled: undefined };
  await writeFile(path.join(directory, 'standby.json'), JSON.stringify(torn));
  return true;
}

/** As the host leaves it whose power failed: nothing is known of what the file holds. */
async function loseHost(directory: string): Promise<void> {
  const journal = await journalOf(directory);
  const file = await open(path.join(directory, 'memory.ram'), 'r+');
  await file.write(Buffer.alloc(PAGE_SIZE, 0xab), 0, PAGE_SIZE, 0);
  await file.close();
  const lost = { ...journal, settled: undefined, boot: 'another boot' };
  await writeFile(path.join(directory, 'standby.json'), JSON.stringify(lost));
}

/** What happens between two looks of a standby at its repository. */
const round = fc.record({
  captures: fc.constantFrom(1, 1, 1, 0, 2),
  torn: fc.option(fc.integer({ min: 1, max: 10 })),
  then: fc.constantFrom('nothing', 'delete', 'fork', 'thin', 'lose the host'),
  captured: fc.boolean(),
});
type Round = typeof round extends fc.Arbitrary<infer Each> ? Each : never;

async function live(
  world: World,
  directory: string,
  { captures, torn, then, captured }: Round,
): Promise<void> {
  for (let i = 0; i < captures; i++) await world.capture(1000);
  if (torn !== null) await tear(world, directory, torn);
  const all = (await world.repository.checkpoints({ machine: world.machineId })).sort(lastFirst);
  if (then === 'delete' && all.length > 2) await world.repository.delete([all[0]!]);
  if (then === 'fork') await world.reopen(all[Math.min(1, all.length - 1)]);
  if (then === 'thin') await world.thin({ keepLast: 2 });
  if (then === 'lose the host') await loseHost(directory);
  if (captured) await world.capture(1000);
}

it('holds the newest state byte for byte, whatever became of the history and of the process that wrote it', async () => {
  const rounds = fc.array(round, { minLength: 3, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(rounds, fc.nat(999), async (lived, seed) => {
      const world = await World.begin(seed);
      const directory = await place();
      try {
        await world.capture(1000);
        await advance(world, directory);
        for (const each of lived) {
          await live(world, directory, each);
          const target = (await newest(world))!;
          await advance(world, directory);
          const journal = await journalOf(directory);
          expect(journal.going).toBeUndefined();
          expect(journal.at?.id).toBe(target.id);
          expect(await held(directory)).toEqual(await truth(world, target));
        }
      } finally {
        await world.end();
      }
    }),
    { numRuns: RUNS },
  );
}, 300_000);

it('writes increments where they lead there, goes over one that is half written, and reads all where none does', async () => {
  const world = await World.begin(5);
  const directory = await place();
  const last = async (): Promise<StandbyEvent | undefined> => (await advance(world, directory)).at(-1);
  await world.capture(1000);
  expect(await last()).toMatchObject({ type: 'ready', step: { full: true, objects: 1 } });
  expect(await last()).toMatchObject({ type: 'current', point: { id: (await newest(world))!.id } });
  await world.capture(1000);
  await world.capture(1000);
  expect(await last()).toMatchObject({ step: { full: false, objects: 2 } });
  await world.capture(1000);
  expect(await tear(world, directory, 5)).toBe(true);
  expect(await last()).toMatchObject({ step: { full: false, objects: 1 } });
  await world.capture(1000);
  expect(await tear(world, directory, 5)).toBe(true);
  // The state whose pages are there in part goes: only all of another can take their place.
  await world.repository.delete([(await newest(world))!]);
  expect(await last()).toMatchObject({ step: { full: true } });
  expect(await held(directory)).toEqual(await truth(world, (await newest(world))!));
  await world.end();
});

it.each(['memory.ram', 'regions.ram'])('reads all of the memory anew when %s was removed', async (file) => {
  const world = await World.begin(9);
  const directory = await place();
  await world.capture(1000);
  await advance(world, directory);
  await rm(path.join(directory, file));
  await world.capture(1000);
  expect((await advance(world, directory)).at(-1)).toMatchObject({ type: 'ready', step: { full: true } });
  expect(await held(directory)).toEqual(await truth(world, (await newest(world))!));
  await world.end();
});

it('keeps what is ready while the newest cannot be read, and goes on when it can', async () => {
  const world = await World.begin(6);
  const directory = await place();
  await world.capture(1000);
  await advance(world, directory);
  const before = await journalOf(directory);
  await world.capture(1000);
  const target = (await newest(world))!;
  const good = await world.store.get(target.key);
  const bad = Uint8Array.from(good);
  const batch = await world.repository.openCheckpoint(target).then(({ batches }) => batches[0]!);
  bad[batch.offset + (batch.length >> 1)]! ^= 0xff;
  await world.store.put(target.key, bad, { mode: 'replace' });
  const error: unknown = await advance(world, directory).catch((caught: unknown) => caught);
  expect(isFitdocError(error) && /^(FORMAT|CODEC)/.test(error.code)).toBe(true);
  expect((await journalOf(directory)).at).toEqual(before.at);
  await world.store.put(target.key, good, { mode: 'replace' });
  await advance(world, directory);
  expect((await journalOf(directory)).at?.id).toBe(target.id);
  await world.end();
});

it('a directory is one process\u2019s, one machine\u2019s and one repository\u2019s', async () => {
  const world = await World.begin(7);
  const directory = await place();
  await world.capture(1000);
  const { repository, machineId: machine, engine } = world;
  const request = { repository, location: 'memory:', machine, directory };
  const stop = new AbortController();
  const first = followMachine(engine, request, { everyMs: 5, stop: stop.signal });
  expect((await first.next()).value).toMatchObject({ type: 'ready' });
  await expect(advance(world, directory)).rejects.toMatchObject({ code: 'MACHINE_BUSY' });
  stop.abort();
  expect(await first.next()).toMatchObject({ done: true });
  // Ended in order: believed after the host was started anew.
  expect(await journalOf(directory)).toMatchObject({ settled: true });
  const other = followMachine(engine, { ...request, machine: 'another' }, { everyMs: 5, once: true });
  await expect(other.next()).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  await world.end();
});

it('what held a directory when the power of its host failed holds it no longer; what another host may hold it does', async () => {
  const world = await World.begin(8);
  const directory = await place();
  await world.capture(1000);
  const left = path.join(directory, 'holder-0123456789abcdef.json');
  const leave = async (host: string): Promise<void> => {
    // Its number is another's now, which lives.
    const owner = { host, pid: process.pid, scope: 'a former boot:pid:[1]', startedAt: '1', instance: 'x' };
    await writeFile(left, JSON.stringify({ owner, purpose: 'follow' }));
  };
  await leave('another');
  const busy = await advance(world, directory).catch((error: unknown) => error);
  expect(busy).toMatchObject({ code: 'MACHINE_BUSY', hint: expect.stringContaining(left) as string });
  await leave(hostname());
  expect(await advance(world, directory)).toMatchObject([{ type: 'ready' }]);
  await world.end();
});
