import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '@fitdoc/adapters';
import { thin, type Engine } from '@fitdoc/engine';
import type { Store } from '@fitdoc/interface';
import { Repository } from '@fitdoc/repository';
import { configurationOf } from './configuration.js';
import { Ledger } from './ledger.js';
import type { Random } from './random.js';
import type { SmallDisk } from '../../lab/src/small-disk.js';
import type { Subject } from './subjects.js';
import type { Tally } from './tally.js';
import { Victim } from './victim.js';

export interface LaneOptions {
  readonly folder: string;
  /** Where repositories are; it can run full when it is a small disk. */
  readonly store: string;
  readonly disk: SmallDisk | undefined;
  readonly subjects: readonly Subject[];
  readonly engine: Engine;
  readonly random: Random;
  readonly tally: Tally;
  /** Thin to so many checkpoints of each machine all the time; absent: keep all. */
  readonly keepLast?: number | undefined;
}

/** How long anything may take that is bound to come: the machine may be busy. */
const PATIENCE_MS = 120_000;
/** How long a guest may stand after a kill before it counts as stuck. */
const STANDING_MS = 15_000;
const ROUNDS_A_REPOSITORY = 10;
const ROUNDS_A_BRING_BACK = 10;
/** Behind the oldest that is kept so many may be left, to be merged at a time. */
const TAIL = 32;

/** One victim after the other on the same machines, a new repository every so many rounds. */
export class Lane {
  readonly #options: LaneOptions;
  #ledger: Ledger;
  #repository = 0;
  #rounds = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#ledger = new Ledger(options.keepLast);
  }

  /** One life of a victim: it works, is killed at a random moment, and what it leaves is looked at. */
  async round(): Promise<void> {
    const { random, disk, subjects, tally } = this.#options;
    if (this.#rounds++ % ROUNDS_A_REPOSITORY === 0) await this.#newRepository();
    const draw = random.next();
    const moment = random.next();
    const known = subjects.filter(({ name }) => this.#ledger.has(name)).map(({ name }) => name);
    const victim = await this.#start();
    try {
      await victim.started(PATIENCE_MS);
      if (draw < 0.2) await sleep(600 * moment);
      else {
        await this.#untilProtected(victim);
        if (disk && draw < 0.4) await this.#runFull(victim, disk);
        await sleep((this.#options.keepLast === undefined ? 300 : 3000) * moment);
      }
    } finally {
      await victim.kill();
    }
    this.#settle(victim, known);
    await this.#guestsBeatOn(tally.beatMs);
    await this.#check(victim.pid);
    await disk?.free();
    tally.rounds++;
  }

  async #start(): Promise<Victim> {
    const { folder, subjects, keepLast } = this.#options;
    const file = path.join(folder, 'fitdocd.toml');
    await writeFile(file, configurationOf({ folder, repository: this.#place, keepLast }, subjects));
    return new Victim(file);
  }

  /** Waits for a checkpoint of each machine; it must go on where the victim before left off. */
  async #untilProtected(victim: Victim): Promise<void> {
    const { subjects, tally } = this.#options;
    const from = performance.now();
    await victim.until(
      () => subjects.every(({ name }) => victim.reported.some(({ machine }) => machine === name)),
      'the first checkpoint of each machine',
      PATIENCE_MS,
    );
    tally.protectedMs.push(performance.now() - from);
  }

  /** Fills the disk, sees the failure reported while guests and repository are as they should be, and makes room. */
  async #runFull(victim: Victim, disk: SmallDisk): Promise<void> {
    const { random, tally, subjects } = this.#options;
    const slack = random.below(200_000);
    const killedFull = random.next() < 0.5;
    await this.#untilFull(victim, disk, slack);
    tally.fulls++;
    await this.#guestsBeatOn([]);
    if (killedFull) return;
    this.#ledger.add(victim.reported);
    await this.#check();
    await disk.free();
    const before = victim.reported.length;
    const isNew = (name: string): boolean =>
      victim.reported.slice(before).some(({ machine }) => machine === name);
    await victim.until(
      () => subjects.every(({ name }) => isNew(name)),
      'a checkpoint after the disk was full',
      PATIENCE_MS,
    );
  }

  /** Takes away what is free, and again what merging frees meanwhile, until a checkpoint has no room. */
  async #untilFull(victim: Victim, disk: SmallDisk, slack: number): Promise<void> {
    let isOver = false;
    const filling = (async () => {
      for (; !isOver; await sleep(200)) await disk.fill(slack);
    })();
    filling.catch(() => undefined);
    try {
      await victim.until(() => victim.troubles.some(isFull), 'STORE_FULL', PATIENCE_MS);
    } finally {
      isOver = true;
      await filling;
    }
  }

  /** Takes over what a dead victim had reported. The `known` machines had a chain when it began. */
  #settle({ reported, troubles }: Victim, known: readonly string[]): void {
    const { tally } = this.#options;
    for (const name of known) {
      const first = reported.find(({ machine }) => machine === name);
      if (first?.kind === 'base')
        tally.findings.push(`round ${tally.rounds}: ${name} started over with a base`);
    }
    for (const { machine, code, message } of troubles)
      if (code !== 'STORE_FULL') tally.findings.push(`round ${tally.rounds}: ${machine} ${code}: ${message}`);
    this.#ledger.add(reported);
    tally.kills++;
    if (reported.length === 0) tally.earlyKills++;
    tally.committed += reported.length;
  }

  async #guestsBeatOn(into: number[]): Promise<void> {
    const beating: Promise<number>[] = [];
    for (const each of this.#options.subjects) {
      if (each.beatsOn) beating.push(each.beatsOn(STANDING_MS));
    }
    into.push(...(await Promise.all(beating)));
  }

  /** `dead` is the process that was killed just now. */
  async #check(dead?: number): Promise<void> {
    const { engine, subjects, random, tally, keepLast, disk } = this.#options;
    const store = await openStore(this.#place).catch(() => undefined);
    // A victim that was killed before it made the repository leaves nothing to look at.
    if (!store && this.#ledger.size === 0) return;
    if (!store) throw new Error(`the repository ${this.#place} is gone`);
    try {
      const repository = await this.#open(store);
      if (!repository) return;
      if (dead !== undefined && (await wasThinning(store, dead))) tally.midThinning++;
      const { findings, restored, lost } = await this.#ledger.check(repository, engine, subjects, random);
      tally.findings.push(...findings.map((each) => `round ${tally.rounds}: ${each}`));
      tally.restored += restored.length;
      tally.lost += lost.length;
      if (keepLast !== undefined && dead !== undefined && random.next() < 0.3) {
        // Merging takes room before it makes some.
        await disk?.free();
        await this.#thin(repository, keepLast);
      }
      if (this.#rounds % ROUNDS_A_BRING_BACK === 0) {
        const entry = restored.find(({ machineId }) => this.#real(machineId));
        if (entry) {
          await this.#real(entry.machineId)?.bringBack?.(engine, repository, entry);
          tally.broughtBack++;
        }
      }
      await repository.close();
    } finally {
      await store.close();
    }
  }

  /** Brings what a kill left to the policy: all of what must go went, and nothing else. */
  async #thin(repository: Repository, keepLast: number): Promise<void> {
    const { engine, subjects, random, tally } = this.#options;
    const problems: string[] = [];
    for (const { name } of subjects) {
      const before = (await repository.checkpoints({ machine: name })).length;
      const { failures, plan, stuck } = await thin(engine, repository, name, { keepLast });
      const after = (await repository.checkpoints({ machine: name })).length;
      problems.push(...failures.map(({ message }) => message), ...stuck.map(({ key }) => `${key} stays`));
      if (after < Math.min(before, keepLast) || after > keepLast + TAIL)
        problems.push(`${name}: ${after} of ${before} are kept`);
      if (plan.jobs.length > 0 || plan.remove.length > 0) problems.push(`${name}: thinning left work`);
    }
    const { findings, restored, lost } = await this.#ledger.check(repository, engine, subjects, random);
    tally.findings.push(...[...problems, ...findings].map((each) => `round ${tally.rounds}: ${each}`));
    tally.restored += restored.length;
    tally.lost += lost.length;
    tally.thinned++;
  }

  async #open(store: Awaited<ReturnType<typeof openStore>>): Promise<Repository | undefined> {
    try {
      return await Repository.open(store);
    } catch (error) {
      if (this.#ledger.size === 0 && (error as { code?: string }).code === 'REPOSITORY_NOT_FOUND')
        return undefined;
      throw error;
    }
  }

  #real(name: string): Subject | undefined {
    return this.#options.subjects.find((each) => each.name === name && 'bringBack' in each);
  }

  get #place(): string {
    return path.join(this.#options.store, `repository-${this.#repository}`);
  }

  async #newRepository(): Promise<void> {
    await rm(this.#place, { recursive: true, force: true });
    this.#repository++;
    this.#ledger = new Ledger(this.#options.keepLast);
    this.#options.tally.repositories++;
  }
}

/** Whether this process left a lock as one who merges or removes. */
async function wasThinning(store: Store, pid: number | undefined): Promise<boolean> {
  for await (const { key } of store.list('locks/')) {
    if (!/^locks\/(merger|exclusive)\//.test(key)) continue;
    const text = Buffer.from(await store.get(key)).toString();
    if ((JSON.parse(text) as { owner: { pid: number } }).owner.pid === pid) return true;
  }
  return false;
}

function isFull({ code }: { readonly code: string }): boolean {
  return code === 'STORE_FULL';
}
