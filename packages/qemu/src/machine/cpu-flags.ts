import type { Json } from '@fitdoc/interface';
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

/** Features that no CPUID leaf has: of VMX and of other registers that say what a CPU can, or which faults it has not. */
const BEYOND_CPUID =
  /^(vmx-.*|.*-no|ibrs-all|rsba|skip-l1dfl-vmentry|tsx-ctrl|fb-clear|rfds-clear|split-lock-detect|full-width-write)$/;

/** What a CPU shows to its guest. */
export interface CpuFeatures {
  /** By QEMU's names, sorted. */
  readonly cpuFlags: readonly string[];
  /**
   * The CPUID words that are not zero, `LEAF.SUBLEAF.REGISTER=BITS`, hexadecimal, sorted: one question tells them,
   * where the names take some hundred. Undefined where QEMU does not tell: of other architectures than x86.
   */
  readonly cpuWords: string | undefined;
}

/**
 * The features that the CPU at `path` shows to its guest: what was asked for and this host and QEMU have. A model's
 * name alone does not tell: `max` is what a host has, and each can be changed. Where the CPU has the words that are
 * `recorded` of another, it has that one's names, but for those that no word holds.
 */
export async function readCpuFeatures(
  qmp: QmpClient,
  path: string,
  recorded?: CpuFeatures,
  signal?: AbortSignal,
): Promise<CpuFeatures> {
  const cpuWords = wordsIn(await property(qmp, path, 'feature-words', signal));
  if (cpuWords === undefined || cpuWords !== recorded?.cpuWords)
    return { cpuWords, cpuFlags: await readNames(qmp, path, signal) };
  const doubtful = recorded.cpuFlags.filter((name) => BEYOND_CPUID.test(name));
  const on = await fewAtOnce(doubtful, async (name) => (await property(qmp, path, name, signal)) === true);
  const gone = new Set(doubtful.filter((_, index) => !on[index]));
  return { cpuWords, cpuFlags: recorded.cpuFlags.filter((name) => !gone.has(name)) };
}

/** What a checkpoint of `platform` recorded. */
export function recordedFeatures(platform: Readonly<Record<string, Json>>): CpuFeatures {
  const { cpuFlags, cpuWords } = platform;
  return {
    cpuFlags: typeof cpuFlags === 'string' ? cpuFlags.split(' ').filter((name) => name !== '') : [],
    cpuWords: typeof cpuWords === 'string' ? cpuWords : undefined,
  };
}

function wordsIn(told: Json | undefined): string | undefined {
  if (!Array.isArray(told)) return undefined;
  const words = (told as unknown as readonly FeatureWord[]).filter(({ features }) => features !== 0);
  return words
    .map((word) => {
      const [leaf, subleaf] = [word['cpuid-input-eax'], word['cpuid-input-ecx'] ?? 0];
      const at = `${leaf.toString(16)}.${subleaf.toString(16)}.${word['cpuid-register'].toLowerCase()}`;
      return `${at}=${word.features.toString(16)}`;
    })
    .sort()
    .join(' ');
}

/** QEMU's X86CPUFeatureWordInfo. */
interface FeatureWord {
  readonly 'cpuid-input-eax': number;
  readonly 'cpuid-input-ecx'?: number;
  readonly 'cpuid-register': string;
  readonly features: number;
}

async function readNames(qmp: QmpClient, path: string, signal?: AbortSignal): Promise<readonly string[]> {
  const features = await featureNames(qmp, signal);
  const isFeature = ({ name, type }: Switch): boolean => type === 'bool' && features.has(name);
  const names = (await readSwitches(qmp, path, isFeature, signal)).map(({ name }) => name);
  const flags = names.map((name) => name.replace(/[._]/g, '-'));
  const known = new Set(flags.map((name) => ALIASES[name] ?? name));
  return [...known].filter((name) => !TOPOLOGY.has(name)).sort();
}

interface Switch {
  readonly name: string;
  readonly type: string;
  readonly value?: Json;
}

/** Those of an object's properties that are `wanted` and on. */
async function readSwitches(
  qmp: QmpClient,
  path: string,
  wanted: (property: Switch) => boolean,
  signal: AbortSignal | undefined,
): Promise<readonly Switch[]> {
  // One question, from QEMU 10.1 on.
  const [told] = await qmp
    .execute<readonly { properties: readonly Switch[] }[]>('qom-list-get', { paths: [path] }, { signal })
    .catch(() => []);
  if (told !== undefined) return told.properties.filter((each) => wanted(each) && each.value === true);
  const listed = await qmp.execute<readonly Switch[]>('qom-list', { path }, { signal }).catch(() => []);
  const switches = listed.filter(wanted);
  const on = await fewAtOnce(switches, async ({ name }) => property(qmp, path, name, signal));
  return switches.filter((_, index) => on[index] === true);
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
