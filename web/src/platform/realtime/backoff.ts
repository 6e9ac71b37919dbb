const FIRST_MS = 400;
const LONGEST_MS = 15_000;

/** How long to wait before attempt number `attempt` (from 0): exponential, with full jitter above a half. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling * (0.5 + random() / 2));
}
