/** As many commands as QEMU takes from one client before it lets the next ones wait. */
const AT_ONCE = 8;

/** Calls `ask` for each item, a few at a time, and gives the answers in the items' order. */
export async function fewAtOnce<Item, Result>(
  items: readonly Item[],
  ask: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const answers: Result[] = [];
  for (let first = 0; first < items.length; first += AT_ONCE)
    answers.push(...(await Promise.all(items.slice(first, first + AT_ONCE).map(ask))));
  return answers;
}
