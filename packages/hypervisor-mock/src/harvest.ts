import {
  FitdocError,
  type DeviceState,
  type Harvest,
  type HarvestDisk,
  type PauseBudgetOutcome,
} from '@fitdoc/interface';

type Facts = Omit<Harvest, 'commit' | 'rollback'>;

/** What a capture got; resolved once, by a commit or a rollback. */
export class MockHarvest implements Harvest {
  readonly kind: 'full' | 'increment';
  readonly pauseMs: number;
  readonly pausePhases: Readonly<Record<string, number>>;
  readonly capturedAtMs: number;
  readonly deviceState: readonly DeviceState[];
  readonly notes: readonly string[];
  readonly disks?: readonly HarvestDisk[];
  readonly pauseBudget?: PauseBudgetOutcome;
  #resolve: ((durable: boolean) => void) | undefined;

  constructor(facts: Facts, resolve: (durable: boolean) => void) {
    this.kind = facts.kind;
    this.pauseMs = facts.pauseMs;
    this.pausePhases = facts.pausePhases;
    this.capturedAtMs = facts.capturedAtMs;
    this.deviceState = facts.deviceState;
    this.notes = facts.notes;
    if (facts.disks) this.disks = facts.disks;
    if (facts.pauseBudget) this.pauseBudget = facts.pauseBudget;
    this.#resolve = resolve;
  }

  /** Whether neither commit nor rollback was called yet. */
  get pending(): boolean {
    return this.#resolve !== undefined;
  }

  async commit(): Promise<void> {
    this.#settle(true);
  }

  async rollback(): Promise<void> {
    this.#settle(false);
  }

  #settle(durable: boolean): void {
    const resolve = this.#resolve;
    if (!resolve) {
      throw new FitdocError('ARGUMENT_INVALID', 'This harvest was committed or rolled back before.', {
        hint: 'Call exactly one of the two, once.',
      });
    }
    this.#resolve = undefined;
    resolve(durable);
  }
}
