const MOST = 5;

/** The names most like one that is not there, those with the fewest letters to change first; 5 at most. */
export function nearest(asked: string, names: readonly string[]): string[] {
  const wanted = asked.toLowerCase();
  const cost = (name: string): number => {
    const found = name.toLowerCase();
    return found.includes(wanted) || wanted.includes(found) ? 0 : distance(wanted, found);
  };
  return [...names]
    .map((name) => ({ name, cost: cost(name) }))
    .sort((a, b) => a.cost - b.cost || a.name.localeCompare(b.name))
    .slice(0, MOST)
    .map(({ name }) => name);
}

/** Levenshtein's: how many letters have to be put in, taken out or replaced. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
