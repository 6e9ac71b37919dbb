import { expect, it } from "vitest";
import type { Presence } from "./frames";
import { applyPresence, type Lists } from "./presence";

const frame = (channel: string, ...names: string[]): Presence => ({
  type: "presence",
  channel,
  people: names.map((name) => ({ id: name, kind: "member", name, state: "online" })),
});

it("takes each list as the whole of its channel", () => {
  const both = applyPresence(applyPresence({}, frame("organization", "Ana", "Ben")), frame("conversation:1", "Ana"));
  const after = applyPresence(both, frame("organization", "Ben"));
  expect(after["organization"]?.map(({ name }) => name)).toEqual(["Ben"]);
  expect(after["conversation:1"]).toHaveLength(1);
});

it("keeps the organization's and the newest hundred", () => {
  let all: Lists = applyPresence({}, frame("organization", "Ana"));
  for (let number = 0; number < 300; number++) all = applyPresence(all, frame(`conversation:${number}`));
  expect(Object.keys(all)).toHaveLength(100);
  expect(all["organization"]).toHaveLength(1);
  expect(all["conversation:299"]).toEqual([]);
});
