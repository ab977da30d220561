import { useEffect, useState } from 'preact/hooks';
import { initial, type State } from './state.js';

type Listener = () => void;

/** The one place where the page's state is, and who wants to know of its changes. */
class Store {
  #state = initial;
  readonly #listeners = new Set<Listener>();
  #scheduled = false;

  get state(): State {
    return this.#state;
  }

  update(change: (state: State) => State): void {
    this.#state = change(this.#state);
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Many machines may report at once: they are drawn together. Hidden pages get no animation frames.
    setTimeout(() => {
      this.#scheduled = false;
      for (const listener of this.#listeners) listener();
    }, 16);
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export const store = new Store();

export function useStore(): State {
  const [state, setState] = useState(store.state);
  useEffect(() => {
    setState(store.state);
    return store.subscribe(() => setState(store.state));
  }, []);
  return state;
}
