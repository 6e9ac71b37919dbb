/** The one place where the state lives; whoever shows it is told of every change. */

import { apply, type Change, emptyState, type State } from "./state";

export interface Store {
  state(): State;
  change(change: Change): void;
  subscribe(listener: (state: State) => void): void;
}

export function createStore(readSeq: number): Store {
  let state = emptyState(readSeq);
  const listeners: ((state: State) => void)[] = [];
  return {
    state: () => state,
    change(change) {
      const next = apply(state, change);
      if (next === state) return;
      state = next;
      for (const listener of listeners) listener(next);
    },
    subscribe: (listener) => void listeners.push(listener),
  };
}
