/** How long to wait before the next attempt: doubling, capped, and spread so that a crowd does not return at once. */

export interface Backoff {
  firstMs: number;
  longestMs: number;
}

export function delayMs(backoff: Backoff, attempt: number, random: () => number): number {
  const ceiling = Math.min(backoff.longestMs, backoff.firstMs * 2 ** Math.min(attempt, 16));
  return ceiling / 2 + (ceiling / 2) * random();
}
