/** As many commands as QEMU takes from one client before it lets the next ones wait. */
const AT_ONCE = 8;

/** Calls `ask` for each item, a few at a time, and gives the answers in the items' order. */
export async function fewAtOnce<Item, Result>(
  items: readonly Item[],
  ask: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const answers: Result[] = [];
  let next = 0;
  const askOn = async (): Promise<void> => {
    try {
      for (let index = next++; index < items.length; index = next++)
        answers[index] = await ask(items[index]!);
    } finally {
      // After a failure nobody wants the rest.
      next = items.length;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, askOn));
  return answers;
}
