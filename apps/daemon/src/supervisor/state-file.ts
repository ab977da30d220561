import { mkdir, open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';

interface MachineMemory {
  /** The chain's name in the repository: known before the machine is attached again. */
  readonly machineId?: string;
  readonly verifiedAtMs?: number;
}

/**
 * The little that the daemon remembers beside its repositories. Losing it costs nothing but the time of the last
 * verification; it is written whole by a rename, so a kill leaves the old or the new.
 */
export class StateFile {
  readonly #file: string;
  readonly #machines: Record<string, MachineMemory>;
  #saving: Promise<void> = Promise.resolve();

  private constructor(file: string, machines: Record<string, MachineMemory>) {
    this.#file = file;
    this.#machines = machines;
  }

  static async open(folder: string): Promise<StateFile> {
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, 'state.json');
    const machines = await readFile(file, 'utf8').then(
      (text) => (JSON.parse(text) as { machines: Record<string, MachineMemory> }).machines,
      () => ({}),
    );
    return new StateFile(file, machines);
  }

  machineId(name: string): string | undefined {
    return this.#machines[name]?.machineId;
  }

  verifiedAt(name: string): number | undefined {
    return this.#machines[name]?.verifiedAtMs;
  }

  setMachineId(name: string, machineId: string): void {
    if (this.machineId(name) === machineId) return;
    this.#set(name, { machineId });
  }

  setVerified(name: string, atMs: number): void {
    this.#set(name, { verifiedAtMs: atMs });
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
    const handle = await open(temporary, 'w');
    try {
      await handle.writeFile(`${JSON.stringify({ version: 1, machines: this.#machines }, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, this.#file);
  }
}
