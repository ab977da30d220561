import { matchesName, parseLocation, parseMachinePattern } from '@fitdoc/adapters';
import { FitdocError, type FoundMachine } from '@fitdoc/interface';
import type { Configuration, MachineSettings, PatternSettings } from './schema.js';
import type { MemberNames } from './member-names.js';

/** A machine that a pattern matches. */
export interface Member {
  /** As the daemon calls it. */
  readonly name: string;
  readonly id: string | undefined;
  readonly settings: MachineSettings & { readonly pattern: string };
  /** Why it does not run, so that nothing is attached. */
  readonly off: FitdocError | undefined;
}

/** A machine that fits a pattern and cannot be protected. */
export interface LeftOut {
  readonly pattern: string;
  readonly name: string;
  readonly why: string;
}

export interface Expansion {
  readonly members: readonly Member[];
  readonly leftOut: readonly LeftOut[];
}

/**
 * The machines that the patterns of a configuration mean, of those that were found. One that the configuration names
 * itself belongs to no pattern; one that several match belongs to the first of the file.
 */
export function expand(
  { machines, patterns }: Configuration,
  found: (pattern: string) => readonly FoundMachine[],
  names: MemberNames,
): Expansion {
  const claimed = new Set(Object.values(machines).map(({ location }) => locationOf(location)));
  const members: Member[] = [];
  const leftOut: LeftOut[] = [];
  names.begin(Object.keys(machines));
  for (const [pattern, settings] of Object.entries(patterns)) {
    const { scheme, name: wild } = parseMachinePattern(pattern);
    for (const machine of found(pattern)) {
      if (!fits(machine, wild, settings)) continue;
      // The lasting one is first.
      const locations = [...(machine.locations ?? []), machine.location].filter((each) => each !== undefined);
      const places = locations.map((each) => `${scheme}:${each}`);
      if (places.some((place) => claimed.has(place))) continue;
      for (const place of places) claimed.add(place);
      const why = obstacle(machine);
      if (why !== undefined || places[0] === undefined) {
        leftOut.push({ pattern, name: machine.name, why: why ?? 'There is no way to it.' });
        continue;
      }
      members.push(memberOf(machine, places[0], pattern, settings, names));
    }
  }
  names.end();
  return { members, leftOut };
}

function fits({ name, tags = [] }: FoundMachine, wild: string, { except, tag }: PatternSettings): boolean {
  if (!matchesName(name, wild) || except.some((each) => matchesName(name, each))) return false;
  return tag === undefined || tags.includes(tag);
}

/** Why a machine cannot be protected, whether it runs or not. */
function obstacle({ refused }: FoundMachine): string | undefined {
  if (refused === undefined || refused.code === 'MACHINE_NOT_RUNNING') return undefined;
  return refused.hint === undefined ? refused.message : `${refused.message} ${refused.hint}`;
}

function memberOf(
  { id, name, state, refused }: FoundMachine,
  location: string,
  pattern: string,
  settings: PatternSettings,
  names: MemberNames,
): Member {
  const { except: _except, tag: _tag, 'look-every': _lookEvery, ...protection } = settings;
  const off =
    refused &&
    new FitdocError(refused.code, refused.message, {
      ...(refused.hint !== undefined && { hint: refused.hint }),
      retryable: true,
      details: { state },
    });
  return { name: names.of(location, name, id), id, settings: { ...protection, location, pattern }, off };
}

/** Without what an adapter is told beside the place. */
function locationOf(location: string): string {
  const { scheme, rest } = parseLocation(location);
  return `${scheme}:${rest}`;
}
