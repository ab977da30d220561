/** What a run did and found; lanes add to one. */
export class Tally {
  rounds = 0;
  kills = 0;
  /** Kills before the first checkpoint of the life they ended. */
  earlyKills = 0;
  fulls = 0;
  committed = 0;
  restored = 0;
  broughtBack = 0;
  repositories = 0;
  lost = 0;
  /** Kills that left a lock of who merges or removes. */
  midThinning = 0;
  /** Histories that were thinned to their policy after a kill. */
  thinned = 0;
  readonly findings: string[] = [];
  /** Milliseconds from the kill to the second beat of each guest. */
  readonly beatMs: number[] = [];
  /** Milliseconds from the start of a victim to the first checkpoint of each of its machines. */
  readonly protectedMs: number[] = [];

  lines(): string[] {
    const { rounds, kills, earlyKills, fulls, committed, restored, broughtBack, repositories, lost } = this;
    return [
      `${rounds} rounds: ${kills} kills (${earlyKills} of them before the first checkpoint), disk full ${fulls} times`,
      `${committed} checkpoints committed to ${repositories} repositories, ${restored} restored and proven, ${broughtBack} brought back in QEMU, ${lost} lost`,
      `two beats after a kill: ${spread(this.beatMs)}; from a start to every machine protected: ${spread(this.protectedMs)}`,
      ...(this.thinned > 0
        ? [
            `${this.midThinning} kills with merging or removing under way; thinned to the policy ${this.thinned} times afterwards`,
          ]
        : []),
      ...this.findings,
    ];
  }
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return 'not measured';
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number): number => Math.round(sorted[Math.floor(part * (sorted.length - 1))] ?? 0);
  return `median ${at(0.5)} ms, 95 % ${at(0.95)} ms, longest ${at(1)} ms`;
}
