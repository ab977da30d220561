import type { Capabilities } from '../session/settings.js';
import type { KeptStream } from './kept-stream.js';

/** What targets that are alike have in common; whoever needs a part of it first has it made, and a failure is everybody's. */
export interface Shared {
  /** What people should know of any of them, once one was examined. */
  examined?: Promise<readonly string[]>;
  /** How the migration of each is set before anything is. */
  capabilities?: Promise<Capabilities>;
  /** The stream that each is given. */
  stream?: Promise<KeptStream>;
}

const shared = new WeakMap<object, Shared>();

/** What the targets of `RestoreOptions.alike` share; without it, a target's own. */
export function sharedOf(alike: object | undefined): Shared {
  const found = alike && shared.get(alike);
  if (found) return found;
  const made: Shared = {};
  if (alike) shared.set(alike, made);
  return made;
}
