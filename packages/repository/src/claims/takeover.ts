/**
 * That a machine goes on elsewhere: from then on only the one that began as `state` writes the machine's chain. The last
 * one counts.
 */
export interface Takeover {
  /** Counted from 1. */
  readonly generation: number;
  /** Content hash of the state that it went on from. Absent: whoever has the machine's identity writes again. */
  readonly state?: string | undefined;
  /** Names the attempt, so that one that was cut off can be gone on with. */
  readonly token: string;
  /** Where it runs now, for people. */
  readonly place: string;
  /** By the clock of the host that took over. */
  readonly atMs: number;
}
