import type { QmpClient } from '../qmp/client.js';
import { fewAtOnce } from '../qmp/few-at-once.js';
import { property } from './devices.js';

/** Features that follow from the number of CPUs, which is compared; not every QEMU shows them here. */
const TOPOLOGY = new Set(['ht', 'cmp-legacy']);
/** Second names under which QEMU lists features of x86. */
const ALIASES: Readonly<Record<string, string>> = {
  i64: 'lm',
  xd: 'nx',
  sse3: 'pni',
  pclmuldq: 'pclmulqdq',
  ffxsr: 'fxsr-opt',
};

/**
 * The features that the CPU at `path` shows to its guest, by QEMU's names, sorted: what was asked for and this
 * host and QEMU have. A model's name alone does not tell: `max` is what a host has, and each can be changed.
 */
export async function readCpuFlags(
  qmp: QmpClient,
  path: string,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const properties = await qmp
    .execute<readonly { name: string; type: string }[]>('qom-list', { path }, { signal })
    .catch(() => []);
  const features = await featureNames(qmp, signal);
  const names = properties
    .filter(({ name, type }) => type === 'bool' && features.has(name))
    .map(({ name }) => name);
  const on = await fewAtOnce(names, async (name) => (await property(qmp, path, name, signal)) === true);
  const flags = names.filter((_, index) => on[index]).map((name) => name.replace(/[._]/g, '-'));
  const known = new Set(flags.map((name) => ALIASES[name] ?? name));
  return [...known].filter((name) => !TOPOLOGY.has(name)).sort();
}

/** What of a CPU's switches are features: others are about QEMU itself, and differ from version to version. */
async function featureNames(qmp: QmpClient, signal: AbortSignal | undefined): Promise<ReadonlySet<string>> {
  // x86 tells by its smallest model, other architectures by their largest.
  for (const [type, name] of [
    ['static', 'base'],
    ['full', 'max'],
  ] as const) {
    const expansion = await qmp
      .execute<{ model: { props?: object } }>(
        'query-cpu-model-expansion',
        { type, model: { name } },
        { signal },
      )
      .catch(() => undefined);
    if (expansion?.model.props !== undefined) return new Set(Object.keys(expansion.model.props));
  }
  return new Set();
}
