import { QueryClient } from "@tanstack/react-query";
import { expect, it } from "vitest";
import type { ApplyEvent } from "./live";
import { Replay } from "./replay";

const KEY = ["names"];
const event = (name: string) => ({ type: "organization_created", name }) as const;

const addName: ApplyEvent = (cache, happened) => {
  if (happened.type !== "organization_created") return;
  cache.setQueryData<string[]>(KEY, (before) => before && [...new Set([...before, happened.name])]);
};

function start() {
  const cache = new QueryClient();
  const replay = new Replay(cache, [addName]);
  replay.watch();
  return { cache, replay };
}

/** An answer of the server that comes when the test says so. */
function later() {
  const answers: ((names: string[]) => void)[] = [];
  const promise = new Promise<string[]>((resolve) => answers.push(resolve));
  return { promise, answer: (names: string[]) => answers[0]?.(names) };
}

it("keeps an event that came while an older answer was on its way", async () => {
  const { cache, replay } = start();
  const { promise, answer } = later();
  const fetched = cache.fetchQuery({ queryKey: KEY, queryFn: () => promise });
  replay.apply(event("came meanwhile"));
  answer(["known before"]);
  await fetched;
  expect(cache.getQueryData(KEY)).toEqual(["known before", "came meanwhile"]);
});

it("keeps it also when an older state was shown and is fetched again", async () => {
  const { cache, replay } = start();
  cache.setQueryData(KEY, ["a"]);
  const { promise, answer } = later();
  const fetched = cache.fetchQuery({ queryKey: KEY, staleTime: 0, queryFn: () => promise });
  replay.apply(event("b"));
  expect(cache.getQueryData(KEY)).toEqual(["a", "b"]);
  answer(["a"]);
  await fetched;
  expect(cache.getQueryData(KEY)).toEqual(["a", "b"]);
});

it("doesn't repeat what came before the fetch began", async () => {
  const { cache, replay } = start();
  replay.apply(event("gone since"));
  await cache.fetchQuery({ queryKey: KEY, queryFn: () => ["a"] });
  expect(cache.getQueryData(KEY)).toEqual(["a"]);
});
