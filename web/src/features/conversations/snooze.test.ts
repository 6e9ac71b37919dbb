import { expect, it } from "vitest";
import { snoozeChoices } from "./snooze";

it("offers only times to come, tomorrow and Monday at nine", () => {
  const wednesday = new Date(2026, 10, 25, 16, 30);
  const [soon, tomorrow, monday] = snoozeChoices(wednesday).map(({ until }) => until);
  expect(soon).toEqual(new Date(2026, 10, 25, 19, 30));
  expect(tomorrow).toEqual(new Date(2026, 10, 26, 9, 0));
  expect(monday).toEqual(new Date(2026, 10, 30, 9, 0));
});

it("says Monday once when tomorrow is Monday", () => {
  expect(snoozeChoices(new Date(2026, 10, 29, 10, 0))).toHaveLength(2);
});
