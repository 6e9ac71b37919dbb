const FIRST_MS = 400;
/** A thousand others have lost the same server at the same moment, so the first wait is long enough to spread them. */
const FIRST_RETURN_MS = 1_000;
const LONGEST_RETURN_MS = 30_000;
const LONGEST_MS = 15_000;

/** How long to wait before attempt number `attempt` (from 0): exponential, with full jitter above a half. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling * (0.5 + random() / 2));
}

/** How long to wait before connecting again: anything from nothing up to a ceiling that doubles. */
export function returnMs(attempt: number, random: () => number = Math.random): number {
  return Math.round(Math.min(LONGEST_RETURN_MS, FIRST_RETURN_MS * 2 ** Math.min(attempt, 10)) * random());
}
