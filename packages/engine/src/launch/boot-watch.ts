import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { throwIfAborted, type CpuActivity, type Launched } from '@fitdoc/interface';
import { Prober, type BootProbes } from './boot-probes.js';
import type { BootVerdict, ProbeResult } from './boot-report.js';

export interface Watched {
  readonly verdict: BootVerdict;
  readonly about: string;
  readonly watchedMs: number;
  readonly cpus: readonly CpuActivity[];
  readonly probes: readonly ProbeResult[];
}

const LOOK_MS = 500;
/** What Linux, the BSDs and Windows' serial debugger write in their last moments. */
const PANIC = /Kernel panic - not syncing[^\r\n]*|^panic(?:\(cpu \d+\))?: [^\r\n]*|KeBugCheck[^\r\n]*/m;
/** Bytes of a console's end that are looked at. */
const TAIL = 256 << 10;

/** Watches a guest that has just been brought back. Errors: ABORTED. */
export async function watchBoot(
  launched: Launched,
  probes: BootProbes,
  signal: AbortSignal | undefined,
): Promise<Watched> {
  const begun = performance.now();
  const elapsed = (): number => performance.now() - begun;
  const call = signal ? { signal } : {};
  const total = new Map<number, CpuActivity>();
  const prober = new Prober(launched, probes);
  const failed = (verdict: BootVerdict, about: string): Watched => ({
    ...{ verdict, about, watchedMs: elapsed() },
    ...{ cpus: [...total.values()], probes: [] },
  });
  await launched.look(call).catch(() => undefined);
  for (;;) {
    await sleep(LOOK_MS, undefined, call).catch(() => throwIfAborted(signal));
    if (launched.gone.aborted)
      return failed('ended', `its hypervisor ended: ${messageOf(launched.gone.reason)}`);
    const look = await launched.look(call).catch((error: unknown) => {
      throwIfAborted(signal);
      return messageOf(error);
    });
    if (typeof look === 'string') return failed('ended', look);
    for (const activity of look.cpus) total.set(activity.cpu, sum(total.get(activity.cpu), activity));
    const text = await consoles(launched);
    const panic = PANIC.exec(text)?.[0];
    if (panic !== undefined) return failed('panicked', `its kernel panicked: ${panic.trim()}`);
    if (look.happened.includes('panicked') || look.state === 'guest-panicked')
      return failed('panicked', 'its guest says that it panicked');
    if (look.happened.includes('reset')) return failed('reset', 'its guest reset itself');
    if (look.happened.includes('shutdown')) return failed('ended', 'its guest powered off');
    if (!look.running) return failed('stands', `its hypervisor holds it: ${look.state}`);
    const results = await prober.try(text, signal);
    const right = results.every((result) => result.right);
    if (elapsed() < probes.seconds * 1000) continue;
    if (!right && elapsed() < probes.withinSeconds * 1000) continue;
    return settled(results, [...total.values()], elapsed());
  }
}

function settled(probes: readonly ProbeResult[], cpus: readonly CpuActivity[], watchedMs: number): Watched {
  const seconds = (watchedMs / 1000).toFixed(0);
  const moved = cpus.filter(({ moved: did, ranMs = 0 }) => did || ranMs > 1);
  const seen = { watchedMs, cpus, probes };
  if (moved.length === 0)
    return { verdict: 'stands', about: `none of its processors moved within ${seconds} s`, ...seen };
  const wrong = probes.filter(({ right }) => !right);
  if (wrong.length > 0)
    return { verdict: 'probe-failed', about: wrong.map(({ about }) => about).join('; '), ...seen };
  return { verdict: 'runs', about: `it ran for ${seconds} s`, ...seen };
}

function sum(before: CpuActivity | undefined, now: CpuActivity): CpuActivity {
  const ranMs = now.ranMs === undefined ? before?.ranMs : (before?.ranMs ?? 0) + now.ranMs;
  return { cpu: now.cpu, ...(ranMs !== undefined && { ranMs }), moved: now.moved || before?.moved === true };
}

async function consoles({ consoles: files }: Launched): Promise<string> {
  const texts = await Promise.all(files.map((file) => tail(file).catch(() => '')));
  return texts.join('\n');
}

async function tail(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.min(size, TAIL));
    await handle.read(bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString('latin1');
  } finally {
    await handle.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
