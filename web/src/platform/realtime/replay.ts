import type { QueryClient } from "@tanstack/react-query";
import type { DanaEvent } from "./frames";
import type { ApplyEvent } from "./live";

/** More than any fetch lasts; a fetch that is older than all that is kept is made again. */
const KEPT = 500;

/**
 * Applies events to the cache, and applies those again that came while a fetch was under way: its answer may
 * have been made before them, and would otherwise put back an older state.
 *
 *     fetch begins ── event comes, cache brought up to date ── answer from before the event replaces it ── event again
 */
export class Replay {
  private readonly cache: QueryClient;
  private readonly reducers: readonly ApplyEvent[];
  private readonly recent: DanaEvent[] = [];
  private received = 0;
  private readonly begun = new Map<string, number>();

  constructor(cache: QueryClient, reducers: readonly ApplyEvent[]) {
    this.cache = cache;
    this.reducers = reducers;
  }

  apply(event: DanaEvent): void {
    this.received += 1;
    this.recent.push(event);
    if (this.recent.length > KEPT) this.recent.shift();
    this.reduce(event);
  }

  /** Watch the fetches of the cache; returns how to stop. */
  watch(): () => void {
    return this.cache.getQueryCache().subscribe((change) => {
      if (change.type !== "updated") return;
      const { queryHash, queryKey } = change.query;
      if (change.action.type === "fetch") this.begun.set(queryHash, this.received);
      if (change.action.type !== "success" || change.action.manual) return;
      // One that began before we watched may have missed everything.
      const missed = this.received - (this.begun.get(queryHash) ?? 0);
      this.begun.delete(queryHash);
      if (missed > KEPT) void this.cache.invalidateQueries({ queryKey });
      else for (const event of missed > 0 ? this.recent.slice(-missed) : []) this.reduce(event);
    });
  }

  private reduce(event: DanaEvent): void {
    for (const reducer of this.reducers) reducer(this.cache, event);
  }
}
