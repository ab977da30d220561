import { rm } from 'node:fs/promises';
import path from 'node:path';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { CheckpointSource, createEngine, exportRaw, type Engine } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';
import { newKeyText, parseKeyFile } from '@fitdoc/sealing';
import type { BenchContext } from '../context.js';
import { syncFile } from '../end-to-end/durable.js';
import type { Row, Section } from '../section.js';
import { pairedRatio } from '../timing.js';

/** Increments that are taken before anything is timed, and that a restore reads. */
const INCREMENTS = 10;

export const section: Section = {
  name: 'sealing',
  title: 'encrypted against plain repositories, on disk, in turns',
  async run(context) {
    const directory = await context.temporaryDirectory();
    const engine = createEngine();
    const sides: Side[] = [];
    try {
      for (const name of ['plain', 'encrypted'] as const)
        sides.push(await begin(context, engine, directory, name));
      return [
        ...(await captureRows(context, sides)),
        ...(await restoreRows(context, engine, directory, sides)),
      ];
    } finally {
      for (const side of sides) await side.end();
      await engine.close();
    }
  },
};

interface Side {
  readonly name: string;
  readonly repository: Repository;
  /** Takes an increment; resolves when it is durable. */
  readonly capture: () => Promise<void>;
  readonly end: () => Promise<void>;
}

async function begin(
  context: BenchContext,
  engine: Engine,
  directory: string,
  name: 'plain' | 'encrypted',
): Promise<Side> {
  const mebibytes = context.quick ? 128 : 512;
  const store = await openStore(path.join(directory, name), { create: true });
  const holder = parseKeyFile(newKeyText(), 'of the bench');
  const encrypt = name === 'plain' ? {} : { encrypt: { holders: [{ holder }] } };
  const repository = await Repository.init(store, encrypt);
  // The same seed: the same guest, writing the same.
  const query = `memory=${mebibytes}M&resident=${mebibytes}M&workload=kv&seed=9&working=64M&rate=2000`;
  const { hypervisor, rest } = await hypervisorFor(`mock:sealing-${name}?${query}`);
  const machine = await hypervisor.attach(rest);
  const protection = await engine.protect(machine, repository);
  context.log(`${name}: taking a base of ${mebibytes} MiB and ${INCREMENTS} increments`);
  for (let i = 0; i <= INCREMENTS; i++) await protection.checkpoint();
  return {
    name,
    repository,
    capture: async () => void (await protection.checkpoint()),
    async end() {
      await protection.end();
      await machine.detach();
      await repository.close();
      await store.close();
    },
  };
}

async function captureRows(context: BenchContext, sides: readonly Side[]): Promise<Row[]> {
  const contenders = sides.map(({ name, capture }) => ({ name, run: capture }));
  const timings = await context.compare(contenders, { rounds: context.quick ? 7 : 31, warmUpMs: 0 });
  return rowsOf('increment, capture to durable', timings, 1.1);
}

async function restoreRows(
  context: BenchContext,
  engine: Engine,
  directory: string,
  sides: readonly Side[],
): Promise<Row[]> {
  const contenders = await Promise.all(
    sides.map(async ({ name, repository }) => {
      const entry = await repository.resolve('latest');
      const file = path.join(directory, `${name}.raw`);
      return {
        name,
        prepare: () => rm(file, { force: true }),
        run: async () => {
          await CheckpointSource.use(engine, repository, entry, {}, async (source) => {
            await exportRaw(source, file);
          });
          await syncFile(file);
        },
      };
    }),
  );
  const timings = await context.compare(contenders, { rounds: context.quick ? 3 : 9, warmUpMs: 0 });
  return rowsOf('restore to a raw file, synced', timings, 1.15);
}

function rowsOf(name: string, timings: Awaited<ReturnType<BenchContext['compare']>>, atMost: number): Row[] {
  const [plain, encrypted] = [timings.get('plain'), timings.get('encrypted')];
  if (!plain || !encrypted) throw new Error('not all was timed');
  const ratio = pairedRatio(encrypted, plain);
  return [
    { name, variant: 'plain', value: plain.median, unit: 'ms' },
    {
      ...{ name, variant: 'encrypted', value: encrypted.median, unit: 'ms', ratio },
      ...{ ratioTo: 'plain', target: { of: 'ratio', atMost } },
    },
  ];
}
