const DAY_MS = 24 * 60 * 60_000;

export const AGES = [
  { days: 30, name: "a month" },
  { days: 90, name: "three months" },
  { days: 365, name: "a year" },
  { days: 2 * 365, name: "two years" },
  { days: 0, name: "any length of time" },
] as const;

/** The moment since when a conversation must have been quiet. */
export function quietSince(days: number, now: number): string {
  return new Date(now - days * DAY_MS).toISOString();
}
