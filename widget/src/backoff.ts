/** How long to wait before the next attempt: doubling, capped, and spread so that a crowd does not return at once. */

export interface Backoff {
  firstMs: number;
  longestMs: number;
}

export function delayMs(backoff: Backoff, attempt: number, random: () => number): number {
  const ceiling = Math.min(backoff.longestMs, backoff.firstMs * 2 ** Math.min(attempt, 16));
  return ceiling / 2 + (ceiling / 2) * random();
}

/** How long before connecting again: anything up to the ceiling, as all who were on the same server come back with us. */
export function returnMs(backoff: Backoff, attempt: number, random: () => number): number {
  return Math.min(backoff.longestMs, backoff.firstMs * 2 ** Math.min(attempt, 16)) * random();
}
