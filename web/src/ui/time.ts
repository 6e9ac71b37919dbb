const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** A short age for lists: "now", "5m", "3h", "Tue", "4 May". */
export function age(iso: string, now: number): string {
  const then = new Date(iso);
  const passed = now - then.getTime();
  if (passed < MINUTE) return "now";
  if (passed < HOUR) return `${Math.floor(passed / MINUTE)}m`;
  if (passed < DAY) return `${Math.floor(passed / HOUR)}h`;
  return passed < 6 * DAY ? weekday.format(then) : date.format(then);
}

export function timeOfDay(iso: string): string {
  return clock.format(new Date(iso));
}

export function fullTime(iso: string): string {
  return full.format(new Date(iso));
}

/** A day for a separator between messages: "Today", "Yesterday", "Tuesday, 4 May". */
export function dayName(iso: string, now: number): string {
  const day = startOfDay(new Date(iso).getTime());
  const today = startOfDay(now);
  if (day === today) return "Today";
  if (day >= today - DAY - HOUR) return "Yesterday";
  return longDay.format(new Date(iso));
}

export function isSameDay(one: string, other: string): boolean {
  return startOfDay(new Date(one).getTime()) === startOfDay(new Date(other).getTime());
}

export function startOfDay(time: number): number {
  return new Date(time).setHours(0, 0, 0, 0);
}
