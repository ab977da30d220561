import { keepThawing } from '../agent/freeze.js';
import type { Frozen } from '../agent/frozen.js';

/** File systems that are thawed here when nobody has said in time that they are. */
export class Thawing {
  private readonly unwanted = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private under: Promise<void> | undefined;

  private constructor(private readonly frozen: Frozen) {
    this.timer = setTimeout(() => void this.now(), frozen.withinMs);
  }

  /** What there is to thaw by what is told now; time that runs already runs on. */
  static next(before: Thawing | undefined, frozen: Frozen | undefined): Thawing | undefined {
    if (
      before &&
      frozen &&
      before.frozen.agent === frozen.agent &&
      before.frozen.withinMs === frozen.withinMs
    )
      return before;
    before?.cancel();
    return frozen && new Thawing(frozen);
  }

  /** Settles when it is done, or nobody can do it. */
  now(): Promise<void> {
    clearTimeout(this.timer);
    return (this.under ??= keepThawing(this.frozen.agent, this.unwanted.signal));
  }

  private cancel(): void {
    clearTimeout(this.timer);
    this.unwanted.abort();
  }
}
