const MORNING_HOUR = 9;

const shown = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" });

/** The usual times to come back to a conversation, in the agent's own time zone. */
export function snoozeChoices(now: Date): { label: string; until: Date }[] {
  const inThreeHours = new Date(now.getTime() + 3 * 3_600_000);
  const tomorrow = morning(now, 1);
  const daysToMonday = (8 - now.getDay()) % 7 || 7;
  const monday = morning(now, daysToMonday);
  const choices = [
    { name: "In three hours", until: inThreeHours },
    { name: "Tomorrow morning", until: tomorrow },
  ];
  if (daysToMonday > 1) choices.push({ name: "Next Monday", until: monday });
  return choices.map(({ name, until }) => ({ label: `${name} (${shown.format(until)})`, until }));
}

function morning(now: Date, days: number): Date {
  const day = new Date(now);
  day.setDate(day.getDate() + days);
  day.setHours(MORNING_HOUR, 0, 0, 0);
  return day;
}
