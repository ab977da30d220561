import type { ContentItem, NewCheckpointHeader } from '@fitdoc/format';
import type { MachineInfo } from '@fitdoc/interface';
import type { CheckpointEntry, PutCheckpointOptions, Repository } from '../../src/index.js';

export function machine(id: string, name = `name of ${id}`): MachineInfo {
  return {
    id,
    name,
    hypervisor: 'mock',
    scheme: 'mock',
    architecture: 'x86_64',
    regions: [{ name: 'ram', firstGfn: 0, pages: 16, kind: 'ram' }],
    platform: {},
    disks: [],
  };
}

export interface SampleOptions extends PutCheckpointOptions {
  readonly machine?: string;
  readonly parent?: CheckpointEntry;
  readonly capturedAtMs?: number;
  readonly sequence?: number;
}

let made = 0;

export function header(options: SampleOptions = {}): NewCheckpointHeader {
  const { parent } = options;
  const at = options.capturedAtMs ?? 1_750_000_000_000 + ++made * 1_000;
  return {
    machine: machine(options.machine ?? parent?.machineId ?? 'm1'),
    sequence: options.sequence ?? (parent ? parent.sequence + 1 : 0),
    ...(parent ? { parent: { id: parent.id, contentHash: parent.contentHash } } : {}),
    kind: parent ? 'increment' : 'base',
    createdAtMs: at + 5,
    capturedAtMs: at,
    tool: 'test',
  };
}

/** Content that makes each checkpoint another. */
export async function* content(): AsyncGenerator<ContentItem> {
  yield { type: 'metrics', metrics: { nth: ++made } };
  await Promise.resolve();
}

/** Puts a small checkpoint: a base, or an increment to `parent`. */
export function putSample(repository: Repository, options: SampleOptions = {}): Promise<CheckpointEntry> {
  return repository.put(header(options), content(), options);
}

/** A base and increments, each to the one before. */
export async function putChain(
  repository: Repository,
  length: number,
  options: SampleOptions & { readonly everyMs?: number; readonly fromMs?: number } = {},
): Promise<CheckpointEntry[]> {
  const chain: CheckpointEntry[] = [];
  for (let i = 0; i < length; i++) {
    const parent = chain.at(-1) ?? options.parent;
    const at =
      options.fromMs === undefined ? {} : { capturedAtMs: options.fromMs + i * (options.everyMs ?? 1_000) };
    chain.push(await putSample(repository, { ...options, ...(parent ? { parent } : {}), ...at }));
  }
  return chain;
}
