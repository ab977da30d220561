import { parseMachinePattern, type AdapterRegistry } from '@fitdoc/adapters';
import { withPatience } from '@fitdoc/interface';
import { expand, type Expansion, type Member } from '../../config/expand.js';
import { MemberNames } from '../../config/member-names.js';
import type { Configuration } from '../../config/schema.js';
import type { PatternStatus, Problem } from '../../model.js';
import { Alarm } from '../alarm.js';
import { problemOf } from '../problem.js';
import { steadyNow } from '../steady-clock.js';
import { Sightings } from './sightings.js';

/** How long an adapter may take to list machines. */
const LOOK_PATIENCE_MS = 60_000;

interface Look {
  atMs: number | undefined;
  dueMs: number;
  problem: Problem | undefined;
}

export interface PatternsContext {
  readonly registry: AdapterRegistry;
  /** There was a look: `isNews` where other machines are to be protected now, or in another way. */
  readonly onLook: (isNews: boolean) => Promise<void>;
  readonly onProblem: (pattern: string, problem: Problem) => void;
}

/** The machines that the patterns of a configuration match, as they come and go. A look that fails changes nothing. */
export class Patterns {
  readonly #context: PatternsContext;
  readonly #sightings = new Sightings();
  readonly #names = new MemberNames();
  readonly #looks = new Map<string, Look>();
  readonly #alarm = new Alarm();
  readonly #end = new AbortController();
  #declared: Configuration | undefined;
  #expansion: Expansion = { members: [], leftOut: [] };
  #loop: Promise<void> | undefined;

  constructor(context: PatternsContext) {
    this.#context = context;
  }

  /** A configuration with the machines that its patterns match as far as is known. */
  complete(declared: Configuration): Configuration {
    this.#expansion = expand(declared, (pattern) => this.#sightings.at(placeOf(pattern)), this.#names);
    const members = this.#expansion.members.map(({ name, settings }) => [name, settings] as const);
    return { ...declared, machines: { ...declared.machines, ...Object.fromEntries(members) } };
  }

  /** Looks from now on for what these patterns match. */
  watch(declared: Configuration): void {
    this.#declared = declared;
    const wanted = Object.keys(declared.patterns);
    for (const pattern of this.#looks.keys()) if (!wanted.includes(pattern)) this.#looks.delete(pattern);
    for (const pattern of wanted)
      this.#looks.set(pattern, {
        problem: undefined,
        atMs: undefined,
        ...this.#looks.get(pattern),
        dueMs: 0,
      });
    this.#sightings.keep(new Set(wanted.map(placeOf)));
    if (wanted.length > 0) this.#loop ??= this.#run();
    this.#alarm.ring();
  }

  get members(): readonly Member[] {
    return this.#expansion.members;
  }

  status(): PatternStatus[] {
    const { members, leftOut } = this.#expansion;
    return [...this.#looks].map(([pattern, { atMs, problem }]) => ({
      pattern,
      machines: members.filter(({ settings }) => settings.pattern === pattern).map(({ name }) => name),
      leftOut: leftOut.filter((each) => each.pattern === pattern).map(({ name, why }) => ({ name, why })),
      ...(atMs !== undefined && { lookedAt: new Date(atMs).toISOString() }),
      ...(problem && { lastProblem: problem }),
    }));
  }

  async close(): Promise<void> {
    this.#end.abort();
    this.#alarm.ring();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const declared = this.#declared as Configuration;
      const due = [...this.#looks].filter(([, { dueMs }]) => dueMs <= steadyNow());
      await Promise.all(
        [...new Set(due.map(([pattern]) => placeOf(pattern)))].map((place) => this.#look(place)),
      );
      if (this.#end.signal.aborted) return;
      // A reload meanwhile has other patterns, and looks anew.
      if (due.length > 0 && declared === this.#declared)
        await this.#context.onLook(this.#isNews(declared)).catch(() => undefined);
      const next = Math.min(...[...this.#looks.values()].map(({ dueMs }) => dueMs));
      await this.#alarm.wait(next - steadyNow());
    }
  }

  /** Looks at a place once for all patterns of it. */
  async #look(place: string): Promise<void> {
    const patterns = [...this.#looks.keys()].filter((pattern) => placeOf(pattern) === place);
    const { registry } = this.#context;
    const first = parseMachinePattern(patterns[0] as string);
    try {
      const found = await withPatience(this.#end.signal, LOOK_PATIENCE_MS, (signal) =>
        registry.machinesAt(first, { signal }),
      );
      this.#sightings.note(place, found);
      for (const pattern of patterns) this.#looked(pattern, undefined);
    } catch (error) {
      if (this.#end.signal.aborted) return;
      for (const pattern of patterns) this.#looked(pattern, problemOf(error));
    }
  }

  #looked(pattern: string, problem: Problem | undefined): void {
    const look = this.#looks.get(pattern);
    const every = this.#declared?.patterns[pattern]?.['look-every'];
    if (!look || every === undefined) return;
    if (problem && look.problem?.message !== problem.message) this.#context.onProblem(pattern, problem);
    look.dueMs = steadyNow() + every;
    look.problem = problem;
    if (problem === undefined) look.atMs = Date.now();
  }

  /** Whether other machines are to be protected than before, or in another way; what is told of the rest is newer now. */
  #isNews(declared: Configuration): boolean {
    const before = settingsOf(this.members);
    this.complete(declared);
    return settingsOf(this.members) !== before;
  }
}

function settingsOf(members: readonly Member[]): string {
  return JSON.stringify(members.map(({ name, settings }) => [name, settings]).sort());
}

/** Patterns of one place have one list of machines. */
function placeOf(pattern: string): string {
  const { scheme, place } = parseMachinePattern(pattern);
  return place === undefined ? scheme : `${scheme}:${place}`;
}
