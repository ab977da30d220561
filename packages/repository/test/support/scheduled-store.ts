import type { ListOptions, ObjectStat, Store } from '@fitdoc/interface';

/** Thrown at nobody: the call of an actor that has died never ends. */
const NEVER = new Promise<never>(() => undefined);

interface Waiting {
  readonly actor: string;
  readonly go: () => void;
}

/** Lets one store call of one actor happen at a time, in an order that is chosen from outside. */
export class Scheduler {
  readonly #waiting: Waiting[] = [];
  readonly #dead = new Set<string>();

  /** The store as an actor sees it: every call waits for its turn, and a page of a listing is a call. */
  storeOf(actor: string, store: Store): Store {
    const turn = (): Promise<void> =>
      this.#dead.has(actor)
        ? NEVER
        : new Promise((resolve) => {
            this.#waiting.push({ actor, go: resolve });
          });
    return {
      specificationVersion: 'store-v1',
      supports: store.supports,
      location: store.location,
      put: async (...args) => (await turn(), store.put(...args)),
      get: async (...args) => (await turn(), store.get(...args)),
      stat: async (...args) => (await turn(), store.stat(...args)),
      // One by one, so that a crash in the middle of a request that deletes many is among the schedules.
      delete: async (...args) => (await turn(), store.delete(...args)),
      list: (prefix, options) => pages(turn, store, prefix, options),
      close: () => Promise.resolve(),
    };
  }

  /** Actors that have a call to make, in the order of asking. */
  get ready(): string[] {
    return [...new Set(this.#waiting.map(({ actor }) => actor))].sort();
  }

  step(actor: string): void {
    const index = this.#waiting.findIndex((waiting) => waiting.actor === actor);
    this.#waiting.splice(index, 1)[0]!.go();
  }

  /** Every call that it makes or has made hangs from now on; what was done is done. */
  crash(actor: string): void {
    this.#dead.add(actor);
    for (let index = this.#waiting.length - 1; index >= 0; index--) {
      if (this.#waiting[index]!.actor === actor) this.#waiting.splice(index, 1);
    }
  }
}

/** A listing in pages of three, each as of its own moment, so that others come between. */
async function* pages(
  turn: () => Promise<void>,
  store: Store,
  prefix: string,
  options: ListOptions = {},
): AsyncGenerator<ObjectStat> {
  let after = options.startAfter ?? '';
  for (;;) {
    await turn();
    const page: ObjectStat[] = [];
    for await (const stat of store.list(prefix, { startAfter: after })) {
      page.push(stat);
      if (page.length === 3) break;
    }
    yield* page;
    if (page.length < 3) return;
    after = page.at(-1)!.key;
  }
}

/** Lets all promises that can go on do so. */
export async function settled(): Promise<void> {
  for (let rounds = 0; rounds < 3; rounds++) await new Promise((resolve) => setImmediate(resolve));
}
