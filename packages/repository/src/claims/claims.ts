import type { CallOptions, Store } from '@fitdoc/interface';
import type { Clock } from '../clock.js';
import type { Writer } from './claim-record.js';
import { Claim } from './claim.js';
import type { ShownWriter } from './conflict.js';
import { Takeovers } from './takeovers.js';

/** Who writes which machine's chain, as objects in the store. */
export class Claims {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly takeovers: Takeovers;
  readonly #held = new Set<Claim>();
  readonly #claimed = new Set<string>();
  readonly #givenUp = new Set<string>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.takeovers = new Takeovers(store, clock);
  }

  /** Claims a machine's chain for one writer until the claim is released. MACHINE_CONFLICT. */
  async take(machine: string, writer: Writer, call: CallOptions): Promise<Claim> {
    const { takeovers } = this;
    const common = { store: this.#store, clock: this.#clock, takeovers, givenUp: this.#givenUp };
    const context = { ...common, machine, writer };
    const claim = await Claim.take({ ...context, mayTakeOver: !this.#claimed.has(machine) }, call);
    this.#claimed.add(machine);
    this.#held.add(claim);
    claim.onRelease(() => this.#held.delete(claim));
    return claim;
  }

  /** Who writes the machine's chain now, as far as that can be told at a glance. */
  writers(machine: string, call: CallOptions): Promise<ShownWriter[]> {
    return this.takeovers.lastWriters(machine, call);
  }

  async close(): Promise<void> {
    for (const claim of this.#held) await claim.release();
  }
}
