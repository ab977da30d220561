import { deleteAll, FitdocError, isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import { machineSegment } from '../layout.js';

/** Where what was found out about machines and their states lies. */
export const DERIVED_PREFIX = 'derived/';

const NAME = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(\/[a-z0-9]([a-z0-9.-]*[a-z0-9])?)*$/;

/** The content hash of the state that a name is about. */
const STATE = /[0-9a-f]{64}/;

/**
 * Findings about machines and their states, kept beside the checkpoints: how a state did when it was started, what a
 * guest asked for first. Nothing depends on them: they may be missing, and go with what they are about.
 */
export class Derived {
  constructor(private readonly store: Store) {}

  /** Puts a finding in the place of the one before. Names are paths of `a-z 0-9 . -`. Errors: the store's. */
  async put(machine: string, name: string, bytes: Uint8Array, options: CallOptions = {}): Promise<void> {
    await this.store.put(keyOf(machine, name), bytes, { ...callOf(options), mode: 'replace' });
  }

  /** Undefined where there is none. Errors: the store's. */
  async get(machine: string, name: string, options: CallOptions = {}): Promise<Uint8Array | undefined> {
    return this.store.get(keyOf(machine, name), undefined, callOf(options)).catch((error: unknown) => {
      if (isFitdocError(error, 'STORE_NOT_FOUND')) return undefined;
      throw error;
    });
  }

  /** The names of a machine's findings that begin with `under`, ascending. */
  async names(machine: string, under = '', options: CallOptions = {}): Promise<string[]> {
    const folder = folderOf(machine);
    const names: string[] = [];
    for await (const { key } of this.store.list(`${folder}${under}`, callOf(options)))
      names.push(key.slice(folder.length));
    return names;
  }

  /**
   * Removes the findings about states of a machine that are not among these content hashes, which are asked for only
   * where there are such findings. Errors: the store's, those of `states`.
   */
  async keepOnly(
    machine: string,
    states: () => Promise<ReadonlySet<string>>,
    options: CallOptions = {},
  ): Promise<void> {
    const found = (await this.names(machine, '', options)).filter((name) => STATE.test(name));
    if (found.length === 0) return;
    const living = await states();
    const gone = found.filter((name) => !living.has(STATE.exec(name)![0]));
    await deleteAll(
      this.store,
      gone.map((name) => keyOf(machine, name)),
      callOf(options),
    );
  }
}

function folderOf(machine: string): string {
  return `${DERIVED_PREFIX}${machineSegment(machine)}/`;
}

function keyOf(machine: string, name: string): string {
  if (NAME.test(name) && name.length <= 200) return `${folderOf(machine)}${name}`;
  throw new FitdocError('ARGUMENT_INVALID', `"${name.slice(0, 80)}" cannot be the name of a finding.`);
}

function callOf({ signal }: CallOptions): CallOptions {
  return signal ? { signal } : {};
}
