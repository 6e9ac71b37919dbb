import { afterEach, expect, it, vi } from "vitest";
import { browserNeighbours } from "./neighbours";
import type { Neighbours } from "./notes";

/** The real locks and channels, of one process. */
function stand(neighbours: Neighbours, name: string, happened: string[]) {
  return neighbours.lead({ begin: () => happened.push(`${name} leads`), lost: () => happened.push(`${name} lost`) });
}

const leave: (() => void)[] = [];
afterEach(() => {
  for (const call of leave.splice(0)) call();
});

it("has one leader, and the next one when it leaves", async () => {
  const happened: string[] = [];
  const first = stand(browserNeighbours("o", "u1"), "first", happened);
  await vi.waitUntil(() => happened.length === 1);
  leave.push(stand(browserNeighbours("o", "u1"), "second", happened));
  leave.push(stand(browserNeighbours("o", "somebody else"), "other", happened));
  await vi.waitUntil(() => happened.length === 2);
  expect(happened).toEqual(["first leads", "other leads"]);
  first();
  await vi.waitUntil(() => happened.length === 3);
  expect(happened.at(-1)).toBe("second leads");
});

it("takes the office away, and hands it back when the thief leaves", async () => {
  const happened: string[] = [];
  leave.push(stand(browserNeighbours("o", "u2"), "first", happened));
  await vi.waitUntil(() => happened.length === 1);
  const thief = browserNeighbours("o", "u2");
  const resign = stand(thief, "thief", happened);
  thief.steal();
  await vi.waitUntil(() => happened.length === 3);
  expect(happened.toSorted()).toEqual(["first leads", "first lost", "thief leads"]);
  resign();
  await vi.waitUntil(() => happened.length === 4);
  expect(happened.at(-1)).toBe("first leads");
});

it("carries notes to the others, and not to itself", async () => {
  const [one, other] = [browserNeighbours("o", "u3"), browserNeighbours("o", "u3")];
  const heard: string[] = [];
  leave.push(one.listen(({ name }) => heard.push(`one ${name}`)), other.listen(({ name }) => heard.push(`other ${name}`)));
  one.post({ name: "retry" });
  await vi.waitUntil(() => heard.length > 0);
  expect(heard).toEqual(["other retry"]);
});
