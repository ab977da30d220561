import { CheckpointSource, verifyHeld, type Engine } from '@fitdoc/engine';
import { isIntact, type CheckpointEntry, type Repository } from '@fitdoc/repository';
import type { Random } from './random.js';
import type { Subject } from './subjects.js';
import type { Reported } from './victim.js';

/** What a check of the repository found wrong; nothing when all is well. */
export interface Check {
  readonly findings: readonly string[];
  /** Checkpoints that were read whole and proven. */
  readonly restored: readonly CheckpointEntry[];
  /** Ids that were reported as committed and are not there, or cannot be restored. */
  readonly lost: readonly string[];
}

type Seen = Pick<Reported, 'machine' | 'id' | 'sequence'>;

/** All that was reported as committed to one repository, of which the newest `keepLast` of a machine must stay. */
export class Ledger {
  readonly #committed = new Map<string, Reported>();
  /** What was committed, and what was listed though its victim died before it could report it. */
  readonly #seen = new Map<string, Seen>();
  readonly #verified = new Set<string>();

  constructor(private readonly keepLast = Number.POSITIVE_INFINITY) {}

  add(reported: Iterable<Reported>): void {
    for (const each of reported) {
      this.#committed.set(each.id, each);
      this.#seen.set(each.id, each);
    }
  }

  get size(): number {
    return this.#committed.size;
  }

  has(machine: string): boolean {
    return [...this.#committed.values()].some((each) => each.machine === machine);
  }

  /**
   * Looks that everything committed that must stay is listed, that nothing listed is damaged (what came since the last check
   * is verified with its data), and that each machine's newest checkpoint and one of the older, drawn at random, are
   * what the machine had.
   */
  async check(
    repository: Repository,
    engine: Engine,
    subjects: readonly Subject[],
    random: Random,
  ): Promise<Check> {
    const listed = await repository.list();
    const findings = listed.flatMap((entry) =>
      isIntact(entry) ? [] : [`${entry.key} is damaged: ${entry.damaged.message}`],
    );
    const intact = listed.filter(isIntact);
    const lost = this.#missing(intact);
    findings.push(...lost.map((id) => `${id} was committed and is not listed`));
    findings.push(...(await this.#verifyNew(repository)));
    const restored: CheckpointEntry[] = [];
    for (const subject of subjects) {
      for (const entry of choose(intact, subject.name, random)) {
        const problem = await prove(repository, engine, subject, entry);
        if (problem === undefined) {
          restored.push(entry);
          continue;
        }
        if (await this.#wentByRights(repository, entry)) continue;
        findings.push(`${subject.name}'s checkpoint ${entry.id} (${entry.sequence}): ${problem}`);
        if (this.#committed.has(entry.id)) lost.push(entry.id);
      }
    }
    return { findings, restored, lost };
  }

  #missing(entries: readonly CheckpointEntry[]): string[] {
    for (const { id, sequence, machineId } of entries)
      this.#seen.set(id, { id, sequence, machine: machineId });
    const listed = new Set(entries.map(({ id }) => id));
    const seen = [...this.#seen.values()];
    return [...new Set(seen.map(({ machine }) => machine))].flatMap((name) =>
      seen
        .filter(({ machine }) => machine === name)
        .sort((one, other) => other.sequence - one.sequence)
        .slice(0, this.keepLast)
        .flatMap(({ id }) => (listed.has(id) ? [] : [id])),
    );
  }

  /** A victim that lives merges on: what need not stay may be gone since it was listed. */
  async #wentByRights(repository: Repository, { id }: CheckpointEntry): Promise<boolean> {
    const listed = (await repository.list()).filter(isIntact);
    if (listed.some((entry) => entry.id === id)) return false;
    return !this.#missing(listed).includes(id);
  }

  /** Objects, not checkpoints: merging makes others that show the same. */
  async #verifyNew(repository: Repository): Promise<string[]> {
    // Held, for a victim that lives merges on, and removes what it merged.
    const list = async () => {
      const objects = (await repository.objects()).filter(isIntact);
      return { entries: objects.filter(({ key }) => !this.#verified.has(key)) };
    };
    const { entries, findings } = await verifyHeld(repository, list, { data: 1 });
    for (const { key } of entries) this.#verified.add(key);
    return findings.map(({ key, message }) => `${key}: ${message}`);
  }
}

/** The newest checkpoint of a machine, and another of its checkpoints where there is one. */
function choose(entries: readonly CheckpointEntry[], machine: string, random: Random): CheckpointEntry[] {
  const own = entries.filter(({ machineId }) => machineId === machine);
  return [own.pop(), random.pick(own)].filter((entry) => entry !== undefined);
}

async function prove(
  repository: Repository,
  engine: Engine,
  subject: Subject,
  entry: CheckpointEntry,
): Promise<string | undefined> {
  try {
    await CheckpointSource.use(engine, repository, entry, {}, (source) => subject.prove(source));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
