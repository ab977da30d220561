import type { Quiesce, QuiesceOutcome } from '@fitdoc/interface';
import { isRefusal } from './agent.js';
import { freezeFileSystems, thawFileSystems } from './freeze.js';

/** Told of the agent that has to thaw what is frozen, and by when; undefined: nothing is. */
export type WatchFreeze = (frozen: Frozen | undefined) => void;

/** File systems that must not stay frozen. */
export interface Frozen {
  /** Socket of the agent's channel. */
  readonly agent: string;
  readonly withinMs: number;
}

/** How long the guard waits beyond our own time-out: it is there for when we stand still. */
const GRACE_MS = 1000;

/** A guest whose file systems are frozen until `end`, or until its time is over, whichever is first. */
export class Freeze {
  private readonly beganMs = performance.now();
  private asked = false;
  private refused = false;
  private late = false;
  private timer: NodeJS.Timeout | undefined;
  private thawing: Promise<string | undefined> | undefined;

  constructor(
    private readonly agent: string,
    private readonly watch: WatchFreeze,
  ) {}

  /** Whether they may be frozen still. */
  get isOwed(): boolean {
    return this.asked;
  }

  async begin({ timeoutMs }: Quiesce, signal: AbortSignal): Promise<void> {
    const begin = (): void => {
      this.asked = true;
      this.watch({ agent: this.agent, withinMs: timeoutMs + GRACE_MS });
    };
    await freezeFileSystems(this.agent, timeoutMs, begin, signal).catch((error: unknown) => {
      this.refused = isRefusal(error);
      throw error;
    });
    const left = timeoutMs - (performance.now() - this.beganMs);
    this.timer = setTimeout(
      () => {
        this.late = true;
        void this.thaw();
      },
      Math.max(0, left),
    );
  }

  /** Thaws them; may be called again where that failed. */
  async end(): Promise<QuiesceOutcome> {
    clearTimeout(this.timer);
    // It may have met the pause, in which no agent answers.
    await this.thawing;
    const failed = this.asked ? await this.thaw() : undefined;
    const late = this.late ? 'they were thawed at the time-out, before the guest stood.' : undefined;
    const failure = failed ?? late;
    return { frozenMs: performance.now() - this.beganMs, ...(failure !== undefined && { failure }) };
  }

  /** Why it could not be done: the guard goes on trying then. */
  private async thaw(): Promise<string | undefined> {
    this.thawing ??= thawFileSystems(this.agent)
      .then(
        () => this.over(),
        (error: unknown) => {
          // One that may do neither has done neither.
          if (this.refused && isRefusal(error)) return this.over();
          return `they may still be frozen: ${error instanceof Error ? error.message : String(error)}`;
        },
      )
      .finally(() => (this.thawing = undefined));
    return this.thawing;
  }

  private over(): undefined {
    this.asked = false;
    this.watch(undefined);
    return undefined;
  }
}
