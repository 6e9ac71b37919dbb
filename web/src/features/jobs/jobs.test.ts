import { QueryClient } from "@tanstack/react-query";
import { expect, it } from "vitest";
import type { Job } from "@/platform/api/types";
import { quietSince } from "./ages";
import { fileName } from "./download";
import { applyEvent } from "./events";
import { type JobPages, keys } from "./queries";
import { importRefusal } from "./refusal";
import { hasFile, percent, progressOf } from "./words";

function job(id: string, part: Partial<Job> = {}): Job {
  return {
    id,
    kind: "delete_conversations",
    about: "Resolved conversations",
    state: "running",
    done: 0,
    total: null,
    problems: 0,
    error: null,
    requested_by: "ana",
    requested_by_name: "Ana",
    version: 1,
    file_expires_at: null,
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:00Z",
    finished_at: null,
    ...part,
  };
}

function cacheWith(...pages: { items: Job[]; next_cursor: string | null }[]): QueryClient {
  const cache = new QueryClient();
  cache.setQueryData<JobPages>(keys.jobs, { pages, pageParams: pages.map(() => undefined) });
  return cache;
}

const shown = (cache: QueryClient) => cache.getQueryData<JobPages>(keys.jobs)?.pages.flatMap((page) => page.items);

it("follows a job to its end, and never backwards", () => {
  const cache = cacheWith({ items: [job("a")], next_cursor: null });
  for (const [version, done] of [[2, 100], [4, 300], [3, 200]] as const) {
    applyEvent(cache, { type: "conversations_job_advanced", job: job("a", { version, done, total: 300 }) });
  }
  expect(shown(cache)).toEqual([job("a", { version: 4, done: 300, total: 300 })]);
});

it("puts a new job where a fetched list would have it, once", () => {
  const cache = cacheWith({ items: [job("c"), job("a")], next_cursor: null });
  for (const id of ["b", "d", "b"]) applyEvent(cache, { type: "knowledge_job_advanced", job: job(id) });
  expect(shown(cache)?.map(({ id }) => id)).toEqual(["d", "c", "b", "a"]);
});

it("leaves out a job that comes with a page which isn't loaded yet", () => {
  const cache = cacheWith({ items: [job("c")], next_cursor: "more" });
  applyEvent(cache, { type: "conversations_job_advanced", job: job("a") });
  expect(shown(cache)?.map(({ id }) => id)).toEqual(["c"]);
});

it("says how far a job is, in what it counts", () => {
  expect(progressOf(job("a", { state: "queued" }))).toMatch(/its turn/u);
  expect(progressOf(job("a", { done: 5 }))).toBe("5 conversations deleted");
  expect(progressOf(job("a", { done: 1200, total: 100_000 }))).toBe("1,200 of 100,000 conversations deleted");
  expect(progressOf(job("a", { state: "cancelled", done: 0, total: 1 }))).toBe("0 of 1 conversation deleted");
  expect(progressOf(job("a", { kind: "import_conversations", state: "done", done: 1, total: 1 }))).toBe("1 line read");
  expect(progressOf(job("a", { kind: "count_stars", done: 2, total: 3 }))).toBe("2 of 3 steps done");
});

it("never shows more than all, nor all of nothing known", () => {
  expect(percent(job("a", { done: 999, total: 1000 }))).toBe(99);
  expect(percent(job("a", { done: 12, total: 10 }))).toBe(100);
  expect(percent(job("a", { done: 0, total: 0 }))).toBe(100);
  expect(percent(job("a", { done: 7, total: null }))).toBeNull();
});

it("offers a file as long as it is kept", () => {
  const at = Date.parse("2026-01-02T00:00:00Z");
  const done = job("a", { state: "done", file_expires_at: "2026-01-03T00:00:00Z" });
  expect(hasFile(done, at)).toBe(true);
  expect(hasFile(done, at + 2 * 86_400_000)).toBe(false);
  expect(hasFile({ ...done, file_expires_at: null }, at)).toBe(false);
  expect(fileName(done, "file")).toBe("conversations-2026-01-01.jsonl.gz");
});

it("refuses before sending what the server would refuse", () => {
  expect(importRefusal({ size: 10 })).toBeNull();
  expect(importRefusal({ size: 0 })).toMatch(/empty/u);
  expect(importRefusal({ size: 26 * 1024 * 1024 })).toMatch(/25 MB/u);
});

it("counts an age back from now", () => {
  expect(quietSince(30, Date.parse("2026-01-31T12:00:00Z"))).toBe("2026-01-01T12:00:00.000Z");
});
