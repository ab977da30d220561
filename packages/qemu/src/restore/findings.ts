import type { Description } from '../machine/describe.js';

/** What a waiting QEMU has, for the comparison with a checkpoint. */
export interface Target extends Description {
  /** Sizes of its RAM blocks by name, as they can be; undefined when it does not tell. */
  readonly blocks: ReadonlyMap<string, number> | undefined;
  /** See `knownTypes`; read where this QEMU is of another version than the checkpoint's. */
  readonly types: ReadonlySet<string> | undefined;
}

/** What a comparison has found: what forbids to load, and what people should know if it is loaded. */
export interface Findings {
  readonly differences: string[];
  readonly notes: string[];
}
