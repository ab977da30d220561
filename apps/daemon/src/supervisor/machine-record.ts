import type { CheckpointResult } from '@fitdoc/engine';
import type { CheckpointEntry } from '@fitdoc/repository';
import type { Damage, LastCheckpoint, Problem } from '../model.js';
import { checkpointOf, entryAsLast, type Snapshot } from './machine-status.js';
import { problemOf } from './problem.js';
import type { BootMemory } from './state-file.js';
import { SuccessAge } from './success-age.js';

/** What became of a machine's checkpoints, as its status tells. */
export class MachineRecord {
  readonly #counts = { checkpoints: 0, failures: 0, missed: 0 };
  readonly #age = new SuccessAge();
  #last: LastCheckpoint | undefined;
  #problem: Problem | undefined;
  /** The problem was there before the checkpoint under way was begun: that one's success ends it. */
  #problemIsOlder = false;
  #damage: Damage | undefined;
  #verifiedMs: number | undefined;
  #boot: BootMemory | undefined;

  /** What the repository has from before. */
  found(head: CheckpointEntry): void {
    this.#last = entryAsLast(head);
    this.#age.found(head.capturedAtMs);
  }

  begun(): void {
    this.#problemIsOlder = true;
  }

  taken(result: CheckpointResult): LastCheckpoint {
    this.#counts.checkpoints++;
    this.#age.taken(result.cost.commitMs);
    if (this.#problemIsOlder) this.#problem = undefined;
    this.#last = checkpointOf(result);
    return this.#last;
  }

  failed(): void {
    this.#counts.failures++;
  }

  missed(count: number): void {
    this.#counts.missed += count;
  }

  trouble(error: unknown): Problem {
    this.#problem = problemOf(error);
    this.#problemIsOlder = false;
    return this.#problem;
  }

  damaged(damage: Damage): void {
    this.#damage = damage;
  }

  /** Everything was found whole. */
  verified(atMs: number | undefined): void {
    this.#verifiedMs = atMs;
    this.#damage = undefined;
  }

  /** A checkpoint was started. */
  booted(boot: BootMemory | undefined): void {
    this.#boot = boot;
  }

  snapshot(): Pick<
    Snapshot,
    'counts' | 'successAgeMs' | 'last' | 'problem' | 'damage' | 'verifiedMs' | 'boot'
  > {
    return {
      counts: this.#counts,
      successAgeMs: this.#age.milliseconds(),
      last: this.#last,
      problem: this.#problem,
      damage: this.#damage,
      verifiedMs: this.#verifiedMs,
      boot: this.#boot,
    };
  }
}
