import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { CheckpointSource, createEngine, exportRaw, type Engine } from '@fitdoc/engine';
import { PAGE_SIZE } from '@fitdoc/interface';
import { Repository } from '@fitdoc/repository';
import { run } from '../../../lab/src/shell.js';
import type { BenchContext } from '../context.js';
import type { Row } from '../section.js';
import { pairedRatio } from '../timing.js';
import { syncFile } from './durable.js';

const INCREMENTS = 20;

/** A chain's last checkpoint written to a raw file and synced, against a copy of that file, synced as well. */
export async function restoreRows(context: BenchContext): Promise<Row[]> {
  const mebibytes = context.quick ? 256 : 1024;
  const directory = await context.temporaryDirectory();
  const engine = createEngine();
  const store = await openStore(path.join(directory, 'repository'), { create: true });
  const repository = await Repository.init(store);
  try {
    context.log(`restore of ${mebibytes} MiB: taking a base and ${INCREMENTS} increments`);
    await chain(engine, repository, mebibytes);
    const [restored, copied] = [path.join(directory, 'restored'), path.join(directory, 'copied')];
    const entry = await repository.resolve('latest');
    const restore = () =>
      CheckpointSource.use(engine, repository, entry, {}, async (source) => {
        await exportRaw(source, restored);
      });
    await restore();
    await run('cp', [restored, copied]);
    await run('cmp', [restored, copied]);
    const timings = await context.compare(
      [
        { name: 'cp', prepare: () => rm(copied, { force: true }), run: () => copy(restored, copied) },
        {
          name: 'fitdoc',
          // Renamed over what the copy is made of, which must be there: to another name.
          prepare: () => rm(`${restored}-2`, { force: true }),
          run: () =>
            CheckpointSource.use(engine, repository, entry, {}, async (source) => {
              await exportRaw(source, `${restored}-2`);
            }),
        },
      ],
      { rounds: context.quick ? 3 : 7, warmUpMs: 0 },
    );
    await run('cmp', [restored, `${restored}-2`]);
    return rowsOf(`restore of ${mebibytes} MiB to a raw file, ${INCREMENTS} increments deep`, timings, {
      blocks: (await stat(restored)).blocks * 512,
    });
  } finally {
    await engine.close();
    await repository.close();
    await store.close();
  }
}

async function copy(from: string, to: string): Promise<void> {
  await run('cp', [from, to]);
  await syncFile(to);
}

async function chain(engine: Engine, repository: Repository, mebibytes: number): Promise<void> {
  const query = `memory=${mebibytes}M&resident=${mebibytes}M&workload=kv&seed=5&working=64M&rate=2000`;
  const { hypervisor, rest } = await hypervisorFor(`mock:restore-bench?${query}`);
  const machine = await hypervisor.attach(rest);
  const protection = await engine.protect(machine, repository);
  for (let i = 0; i <= INCREMENTS; i++) await protection.checkpoint();
  await protection.end();
  await machine.detach();
}

function rowsOf(
  name: string,
  timings: Awaited<ReturnType<BenchContext['compare']>>,
  { blocks }: { readonly blocks: number },
): Row[] {
  const copied = timings.get('cp');
  const restored = timings.get('fitdoc');
  if (!copied || !restored) throw new Error('not all was timed');
  const ratio = pairedRatio(restored, copied);
  return [
    { name, variant: 'cp, synced', value: copied.median, unit: 'ms' },
    {
      ...{ name, variant: 'fitdoc export, synced', value: restored.median, unit: 'ms', ratio },
      ...{ ratioTo: 'cp, synced', target: { of: 'ratio', atMost: 1.5 } },
    },
    { name, variant: 'pages that are not zero', value: blocks / PAGE_SIZE, unit: 'pages' },
  ];
}
