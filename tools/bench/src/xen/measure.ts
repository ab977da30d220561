import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineOptions } from '@fitdoc/engine';
import { createGuest, destroyGuest, XenHost, type GuestOptions } from '../../../lab/src/xen/index.js';
import type { BenchContext } from '../context.js';
import { readRecording, type RecordedIncrement } from './recorded.js';

/** What a guest does while it is measured. */
export interface Workload {
  readonly name: string;
  readonly guest: Omit<GuestOptions, 'name'>;
}

export interface IncrementCost {
  readonly pauseMs: number;
  /** The steps of the pause, and `request` before it; milliseconds. */
  readonly pausePhases: Readonly<Record<string, number>>;
  /** From the request to the durable checkpoint. */
  readonly tookMs: number;
  readonly dirtyPages: number;
  readonly bytes: number;
  /** Anonymous memory of fitdoc's processes in dom0, after it. */
  readonly ownBytes: number;
}

export interface Measured {
  readonly workload: Workload;
  readonly saves: readonly { readonly ms: number; readonly bytes: number }[];
  readonly increments: readonly IncrementCost[];
  readonly remus: readonly RecordedIncrement[];
}

const GUEST = 'bench';
const PATIENT = { timeoutMs: 900_000 };

/** Boots a Xen and measures each workload on it. */
export async function measureOnXen(
  context: BenchContext,
  workloads: readonly Workload[],
): Promise<Measured[]> {
  context.log('booting Xen in an emulator');
  const running = process.env.FITDOC_XEN_HOST;
  const host = running === undefined ? await XenHost.start() : XenHost.attach(running);
  try {
    const measured: Measured[] = [];
    for (const workload of workloads) measured.push(await measure(context, host, workload));
    return measured;
  } finally {
    await host.stop();
  }
}

async function measure(context: BenchContext, host: XenHost, workload: Workload): Promise<Measured> {
  const count = context.quick ? 4 : 12;
  const say = (what: string) => context.log(`${workload.name}: ${what}`);
  await destroyGuest(host, GUEST);
  await createGuest(host, { name: GUEST, ...workload.guest });
  try {
    // Half of the saves before and half after, so that what slows the machine for a while slows both.
    say('saves by xl');
    const before = await saves(host, count / 4);
    say('checkpoints by the dirty log');
    const increments = await checkpoints(host, { domain: GUEST, folder: '/run/bench-store', count });
    say('saves by xl');
    const after = await saves(host, count / 4);
    say('a recording of Remus');
    return {
      workload,
      saves: [...before, ...after],
      increments,
      remus: await remus(host, count),
    };
  } finally {
    await destroyGuest(host, GUEST);
  }
}

/** `xl save -c` to a file in memory, as often. */
async function saves(host: XenHost, times: number): Promise<{ ms: number; bytes: number }[]> {
  const out = await host.must(
    `for round in $(seq ${times}); do
       cut -d" " -f1 /proc/uptime; xl save -c ${GUEST} /run/bench.save >&2; cut -d" " -f1 /proc/uptime
       stat -c %s /run/bench.save; rm /run/bench.save
     done`,
    PATIENT,
  );
  const numbers = out.trim().split('\n').map(Number);
  return Array.from({ length: times }, (_, round) => {
    const [start, end, bytes] = numbers.slice(3 * round) as [number, number, number];
    return { ms: (end - start) * 1000, bytes };
  });
}

/** What `dom0.mjs` is to do: so many increments of a domain, stored in a folder of dom0 that is removed. */
export interface Checkpoints {
  readonly domain: string;
  readonly folder: string;
  readonly count: number;
  /** What the engine is told of memory. */
  readonly engine?: EngineOptions;
}

export async function checkpoints(host: XenHost, wanted: Checkpoints): Promise<IncrementCost[]> {
  const script = '/project/tools/bench/src/xen/dom0.mjs';
  const run = `/node/node ${script} '${JSON.stringify(wanted)}'`;
  const command = `${run}; status=$?; rm -r ${wanted.folder}; exit $status`;
  return JSON.parse(await host.must(command, PATIENT)) as IncrementCost[];
}

/** Records a Remus stream with at least so many increments, ends the sender, and reads it on this machine. */
async function remus(host: XenHost, count: number): Promise<RecordedIncrement[]> {
  const stream = join(host.shared, 'bench.stream');
  // The stream goes to memory first: xl would wait for the shared folder.
  await host.must(
    `rm -f /run/bench.stream
     answer='xl migration receiver ready, send binary domain data.'
     xl remus -F -n -d -i 500 -s "sh -c 'echo \\$\\$ >/run/receiver; echo \\"$answer\\"; exec 5>&1; exec cat >/run/bench.stream' --" ${GUEST} fitdoc >/run/remus.log 2>&1 &
     sender=$!
     full=0 last=0 increments=0
     while kill -0 $sender 2>/dev/null && [ "$increments" -lt ${count + 2} ]; do
       sleep 0.3
       size=$(stat -c %s /run/bench.stream 2>/dev/null || echo 0)
       # The stream stands still between two checkpoints.
       if [ "$size" = "$last" ] && [ "$size" != "$full" ] && [ "$size" -gt 40000000 ]; then
         increments=$((increments + 1)) full=$size
       fi
       last=$size
     done
     kill -9 $(cat /run/receiver); wait $sender
     mv /run/bench.stream /host/bench.stream`,
    PATIENT,
  );
  try {
    return (await readRecording(stream)).slice(0, count);
  } finally {
    rmSync(stream, { force: true });
  }
}
