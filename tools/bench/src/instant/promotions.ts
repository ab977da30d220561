import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine, followMachine, promote, type Engine } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';
import type { BenchContext } from '../context.js';
import type { Row } from '../section.js';
import { median } from '../timing.js';
import { firstBeat, protectBeating } from './beating.js';

const SIZES = [192, 1024];
const COMMAND = fileURLToPath(new URL('../../../../apps/cli/dist/main.js', import.meta.url));

/** A standby from which the machine is started, by the library and by the command. */
export async function promotionRows(context: BenchContext): Promise<Row[]> {
  const rows: Row[] = [];
  for (const mebibytes of SIZES) rows.push(...(await sizeRows(context, mebibytes)));
  return rows;
}

async function sizeRows(context: BenchContext, mebibytes: number): Promise<Row[]> {
  const directory = await context.temporaryDirectory();
  const location = path.join(directory, 'repository');
  context.log(`promotion, KVM ${mebibytes} MiB: taking a base and its increments`);
  await protectBeating(mebibytes, location);
  const engine = createEngine();
  const store = await openStore(location);
  const repository = await Repository.open(store);
  const times: Record<Way, number[]> = { call: [], command: [] };
  try {
    for (let round = 0; round < (context.quick ? 2 : 7); round++) {
      const ways: Way[] = round % 2 === 0 ? ['call', 'command'] : ['command', 'call'];
      for (const way of ways) {
        const place = path.join(directory, `${way}-${round}`);
        await follow(engine, repository, location, place);
        times[way].push(await PROMOTE[way]({ engine, repository, location, directory: place }));
      }
    }
  } finally {
    await engine.close();
    await repository.close();
    await store.close();
  }
  return (['call', 'command'] as const).map((way) => ({
    ...{ name: `KVM ${mebibytes} MiB: first beat of a promoted standby`, variant: VARIANTS[way] },
    ...{ value: median(times[way]), unit: 'ms', target: { of: 'value', atMost: 500 } },
  }));
}

type Way = 'call' | 'command';

interface Standing {
  readonly engine: Engine;
  readonly repository: Repository;
  readonly location: string;
  readonly directory: string;
}

const VARIANTS: Readonly<Record<Way, string>> = {
  call: 'call of promote',
  command: 'fitdoc standby promote',
};

/** Milliseconds from the call, or the start of the command, until the guest has beaten. It is ended then. */
const PROMOTE: Readonly<Record<Way, (standing: Standing) => Promise<number>>> = {
  call: async ({ engine, repository, location, directory }) => {
    const { hypervisor } = await hypervisorFor('kvm:');
    const begun = performance.now();
    const request = { repository, location, hypervisor, directory, again: true };
    const { launched } = await promote(engine, request);
    const at = await firstBeat(launched.consoles[0]!);
    await launched.end();
    return at - begun;
  },
  command: async ({ directory }) => {
    const begun = performance.now();
    const words = [COMMAND, 'standby', 'promote', '--dir', directory, '--again', '--json'];
    const ended = promisify(execFile)(process.execPath, words);
    // The command tells its console's place when it ends, which may be later than the first beat.
    const at = await Promise.race([firstBeat(path.join(directory, 'machine', 'console.log')), failed(ended)]);
    const { pid } = JSON.parse((await ended).stdout.trim().split('\n').at(-1)!) as { pid: number };
    process.kill(pid, 'SIGKILL');
    while (existsSync(`/proc/${pid}`)) await sleep(10);
    return at - begun;
  },
};

/** Never resolves; rejects where the command did. */
function failed(ended: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => void ended.catch(reject));
}

async function follow(
  engine: Engine,
  repository: Repository,
  location: string,
  directory: string,
): Promise<void> {
  const { machineId: machine } = await repository.resolve('latest');
  const request = { repository, location, machine, directory };
  for await (const _ of followMachine(engine, request, { everyMs: 1, once: true }));
}
