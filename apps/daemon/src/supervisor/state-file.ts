import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';

/** How the last checkpoint did that was started. */
export interface BootMemory {
  readonly atMs: number;
  readonly verdict: string;
  readonly about: string;
}

interface MachineMemory {
  /** The chain's name in the repository: known before the machine is attached again. */
  readonly machineId?: string;
  readonly verifiedAtMs?: number;
  readonly boot?: BootMemory;
  readonly releasedUntilMs?: number | undefined;
}

/** The repository that was found, or made, at a location. */
interface RepositoryMemory {
  readonly location: string;
  readonly id: string;
}

interface Contents {
  readonly id: string;
  readonly machines: Record<string, MachineMemory>;
  readonly repositories: Record<string, RepositoryMemory>;
}

/**
 * The little that the daemon remembers beside its repositories. Losing it costs the time of the last
 * verification, releases, and the knowledge which repository was where; it is written whole by a rename, so a kill leaves the old or the new.
 */
export class StateFile {
  readonly #file: string;
  readonly #machines: Record<string, MachineMemory>;
  readonly #repositories: Record<string, RepositoryMemory>;
  /** Names the daemon that has this state: only one can run. */
  readonly id: string;
  #saving: Promise<void> = Promise.resolve();

  private constructor(file: string, { id, machines, repositories }: Contents) {
    this.#file = file;
    this.id = id;
    this.#machines = machines;
    this.#repositories = repositories;
  }

  static async open(folder: string): Promise<StateFile> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = path.join(folder, 'state.json');
    const found = await readFile(file, 'utf8').then(
      (text) => JSON.parse(text) as Partial<Contents>,
      (): Partial<Contents> => ({}),
    );
    const state = new StateFile(file, { id: randomUUID(), machines: {}, repositories: {}, ...found });
    // A state that cannot be written now is written with the next change or at the end.
    if (found.id === undefined) await state.save().catch(() => undefined);
    return state;
  }

  machineId(name: string): string | undefined {
    return this.#machines[name]?.machineId;
  }

  verifiedAt(name: string): number | undefined {
    return this.#machines[name]?.verifiedAtMs;
  }

  bootOf(name: string): BootMemory | undefined {
    return this.#machines[name]?.boot;
  }

  setBoot(name: string, boot: BootMemory): void {
    this.#set(name, { boot });
  }

  releasedUntil(name: string): number | undefined {
    return this.#machines[name]?.releasedUntilMs;
  }

  setReleased(name: string, untilMs: number | undefined): void {
    this.#set(name, { releasedUntilMs: untilMs });
  }

  setMachineId(name: string, machineId: string): void {
    if (this.machineId(name) === machineId) return;
    this.#set(name, { machineId });
  }

  /** The machine of this name has this id: what is remembered of another that had the name is not its. */
  begin(name: string, machineId: string): void {
    if (this.machineId(name) === machineId) return;
    if (this.machineId(name) !== undefined) delete this.#machines[name];
    this.setMachineId(name, machineId);
  }

  setVerified(name: string, atMs: number): void {
    this.#set(name, { verifiedAtMs: atMs });
  }

  /** The repository that is known to be at the location of the configuration's `name`. */
  repositoryId(name: string, location: string): string | undefined {
    const known = this.#repositories[name];
    return known?.location === location ? known.id : undefined;
  }

  setRepository(name: string, location: string, id: string): void {
    if (this.repositoryId(name, location) === id) return;
    this.#repositories[name] = { location, id };
    this.save().catch(() => undefined);
  }

  /** Waits until what was set is on disk. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(
      () => this.#write(),
      () => this.#write(),
    );
    return this.#saving;
  }

  #set(name: string, change: MachineMemory): void {
    this.#machines[name] = { ...this.#machines[name], ...change };
    // A state that cannot be written now is written with the next change or at the end.
    this.save().catch(() => undefined);
  }

  async #write(): Promise<void> {
    const temporary = `${this.#file}.new`;
    const contents = {
      version: 1,
      id: this.id,
      machines: this.#machines,
      repositories: this.#repositories,
    };
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(contents, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, this.#file);
  }
}
