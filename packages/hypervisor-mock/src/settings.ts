import { FitdocError, PAGE_SIZE } from '@fitdoc/interface';
import { parseDuration, parseSize } from './units.js';

export const WORKLOAD_NAMES = ['idle', 'kv', 'database', 'compiler', 'stencil', 'random'] as const;
export type WorkloadName = (typeof WORKLOAD_NAMES)[number];
const ALIASES: Readonly<Record<string, WorkloadName>> = { redis: 'kv', pgbench: 'database', gcc: 'compiler' };

export const MAX_MEMORY = 64 * 2 ** 30;
const MIN_MEMORY = 2 ** 20;

type Parse = (text: string) => string | number | undefined;
interface Parameter {
  readonly group: 'shape' | 'run' | 'fault' | 'restore';
  readonly parse: Parse;
  readonly expects: string;
}

const whole = (least: number, most: number): Parse => {
  return (text) => (/^\d+$/.test(text) && +text >= least && +text <= most ? +text : undefined);
};
const bytes = (least: number): Parse => {
  return (text) => {
    const size = parseSize(text);
    const fits = size !== undefined && size >= least && size <= MAX_MEMORY && size % PAGE_SIZE === 0;
    return fits ? size : undefined;
  };
};
const diskSize: Parse = (text) => {
  const bytes = parseSize(text);
  return bytes !== undefined && bytes >= 4096 && bytes <= 2 ** 40 && bytes % 512 === 0 ? bytes : undefined;
};
const share: Parse = (text) => (/^(0|1|0?\.\d+|1\.0+|0\.\d+)$/.test(text) ? Number(text) : undefined);
const workload: Parse = (text) => WORKLOAD_NAMES.find((name) => name === (ALIASES[text] ?? text));
const every = { group: 'fault', parse: whole(1, 1e9), expects: 'a whole number from 1' } as const;
const time = { parse: parseDuration, expects: 'a time such as 50ms or 2s' } as const;
const size = { group: 'shape', parse: bytes(MIN_MEMORY), expects: 'whole pages from 1M to 64G' } as const;

/** Every parameter of a location's query, and of `config`: what it may hold, and what it is for. */
const PARAMETERS = {
  memory: size,
  resident: { ...size, parse: bytes(0), expects: 'whole pages from 0 to 64G' },
  working: { ...size, parse: bytes(64 * PAGE_SIZE), expects: 'whole pages from 256K to 64G' },
  workload: { group: 'shape', parse: workload, expects: WORKLOAD_NAMES.join(', ') },
  seed: { group: 'shape', parse: whole(0, Number.MAX_SAFE_INTEGER), expects: 'a whole number' },
  rate: { group: 'shape', parse: whole(0, 2 ** 24), expects: 'dirty pages a step, 0 to 16777216' },
  cluster: { group: 'shape', parse: whole(1, 65536), expects: 'pages in a run, 1 to 65536' },
  words: { group: 'shape', parse: whole(1, 512), expects: 'changed words a page, 1 to 512' },
  rewrites: { group: 'shape', parse: share, expects: 'a share from 0 to 1' },
  disks: { group: 'shape', parse: whole(0, 16), expects: '0 to 16 writable disks' },
  'disk-size': { group: 'run', parse: diskSize, expects: 'whole sectors from 4K to 1T' },
  steps: { group: 'run', parse: whole(0, 1e6), expects: 'steps a capture, 0 to 1000000' },
  tick: { ...time, group: 'run' },
  from: { group: 'run', parse: whole(0, 1e6), expects: 'epochs to skip' },
  'fail-harvest': every,
  'fail-capture': every,
  'fail-device': every,
  'stray-page': every,
  'fail-disk': every,
  'die-at': every,
  'leave-paused': every,
  'stop-after': every,
  'stop-for': { ...time, group: 'fault' },
  'power-off': every,
  'slow-device': { ...time, group: 'fault' },
  'slow-capture': { ...time, group: 'fault' },
  'slow-disk': { ...time, group: 'fault' },
  proof: {
    group: 'restore',
    parse: (text) => ['yes', 'no'].find((word) => word === text),
    expects: 'yes, no',
  },
} satisfies Record<string, Parameter>;

export type SettingName = keyof typeof PARAMETERS;
export type Settings = Readonly<Partial<Record<SettingName, string | number>>>;

/**
 * Reads the query of a location and the adapter's `config`, which wins; both have the same names. A name that
 * is not in `allowed` groups, or a value out of range: LOCATION_INVALID, with what is accepted as the hint.
 */
export function parseSettings(
  query: string,
  config: Readonly<Record<string, unknown>> = {},
  allowed: readonly Parameter['group'][] = ['shape', 'run', 'fault', 'restore'],
): Settings {
  const settings: Partial<Record<SettingName, string | number>> = {};
  const given = [...new URLSearchParams(query), ...Object.entries(config).map(([k, v]) => [k, String(v)])];
  for (const [name = '', text = ''] of given) {
    const parameter = parameterOf(name);
    if (!parameter || !allowed.includes(parameter.group)) throw unknownName(name, allowed);
    const value = parameter.parse(text);
    if (value === undefined) {
      throw new FitdocError('LOCATION_INVALID', `"${text}" does not suit the mock's parameter "${name}".`, {
        hint: `It takes: ${parameter.expects}.`,
      });
    }
    settings[name as SettingName] = value;
  }
  return settings;
}

function parameterOf(name: string): Parameter | undefined {
  return Object.hasOwn(PARAMETERS, name) ? (PARAMETERS as Record<string, Parameter>)[name] : undefined;
}

function unknownName(name: string, allowed: readonly Parameter['group'][]): FitdocError {
  const names = Object.entries(PARAMETERS).filter(([, parameter]) => allowed.includes(parameter.group));
  return new FitdocError('LOCATION_INVALID', `A mock machine has no parameter "${name}" here.`, {
    hint: `It takes: ${names.map(([key]) => key).join(', ')}.`,
  });
}

/** The settings of one group. */
export function groupOf(settings: Settings, group: Parameter['group']): Settings {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => parameterOf(name)?.group === group));
}
