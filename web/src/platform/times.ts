/** Compare two times of the API to the microsecond; a `Date` would cut them off at the millisecond. */
export function compareTimes(one: string, other: string): number {
  return Date.parse(one) - Date.parse(other) || micros(one) - micros(other);
}

function micros(time: string): number {
  const [, fraction = ""] = /\.(\d+)/u.exec(time) ?? [];
  return Number(fraction.slice(0, 6).padEnd(6, "0"));
}
