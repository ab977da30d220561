/**
 * Maps `items` through `work` with up to `width` calls under way, and yields the results in the items' order.
 * The first failure ends the iteration; calls under way are awaited before it is thrown.
 */
export async function* mapOrdered<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  width: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      const result = work(item);
      // Its failure surfaces when its turn comes; until then it must not count as unhandled.
      result.catch(() => undefined);
      underWay.push(result);
      if (underWay.length >= width) yield await (underWay.shift() as Promise<Result>);
    }
    while (underWay.length > 0) yield await (underWay.shift() as Promise<Result>);
  } finally {
    await Promise.allSettled(underWay);
  }
}
