/** What a machine's protection takes of memory, bytes. */
export interface Need {
  /** Without this much it cannot be. */
  readonly least: number;
  /** With this much nothing that its guest writes to has to be fetched. */
  readonly working: number;
  /** More than this it has no use for: its guest whole. */
  readonly whole: number;
}

/**
 * Shares out `total` bytes: to each what it cannot be without, then evenly towards what each works with, then evenly
 * towards the whole; who needs less than an even part leaves the rest to others. Requires that all least fit.
 */
export function sharesOf(total: number, needs: readonly Need[]): number[] {
  const shares = needs.map(({ least }) => least);
  let left = total - shares.reduce((sum, share) => sum + share, 0);
  for (const goal of ['working', 'whole'] as const)
    left = raise(
      shares,
      needs.map((need) => need[goal]),
      left,
    );
  return shares;
}

function raise(shares: number[], goals: readonly number[], total: number): number {
  let left = total;
  const gap = (index: number): number => Math.max(0, goals[index]! - shares[index]!);
  const order = shares.map((_, index) => index).sort((a, b) => gap(a) - gap(b));
  order.forEach((index, before) => {
    const part = Math.min(gap(index), Math.floor(left / (order.length - before)));
    shares[index]! += part;
    left -= part;
  });
  return left;
}
