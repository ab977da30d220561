import { FitdocError } from '@fitdoc/interface';
import { steadyNow } from './steady-clock.js';

/** A time for which the daemon lets go of a machine, so that its operator can do with it what we would be in the way of. */
export class Release {
  /** By the steady clock: no step of the wall clock keeps us away for longer, or brings us back in between. */
  #endsMs: number | undefined;
  #waiting: (() => void)[] = [];
  readonly #onChange: (untilMs: number | undefined) => void;

  /** `onChange` is told when it ends, what comes later is remembered beyond this process. */
  constructor(untilMs: number | undefined, onChange: (untilMs: number | undefined) => void) {
    this.#endsMs = untilMs === undefined ? undefined : steadyNow() + untilMs - Date.now();
    this.#onChange = onChange;
  }

  /** When it ends by the wall clock as that is now: for people, and for who comes after this process. */
  get untilMs(): number | undefined {
    return this.#endsMs === undefined ? undefined : Math.round(Date.now() + this.remainingMs);
  }

  get remainingMs(): number {
    return (this.#endsMs ?? 0) - steadyNow();
  }

  get active(): boolean {
    return this.#endsMs !== undefined && this.remainingMs > 0;
  }

  /** Begins, or sets another end. Resolves when nothing is attached any more, or when it was ended before that. */
  begin(forMs: number): Promise<void> {
    this.#set(steadyNow() + forMs);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Nothing is attached. */
  reached(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  end(): void {
    if (this.#endsMs !== undefined) this.#set(undefined);
    this.reached();
  }

  /** What whoever wants a checkpoint meanwhile is told. */
  refusal(name: string): FitdocError {
    const until = new Date(this.untilMs ?? Date.now()).toISOString();
    return new FitdocError(
      'MACHINE_BUSY',
      `The machine ${name} is released to its operator until ${until}.`,
      {
        retryable: true,
        hint: `Take it back sooner with: fitdoc release ${name} --end`,
      },
    );
  }

  #set(endsMs: number | undefined): void {
    this.#endsMs = endsMs;
    this.#onChange(this.untilMs);
  }
}
