import type { QueryClient } from "@tanstack/react-query";
import type { Job } from "@/platform/api/types";
import { newer } from "@/platform/query";
import type { DanaEvent } from "@/platform/realtime/frames";
import { type JobPages, keys } from "./queries";

/** Bring the list of jobs up to date with an event: each chunk of a job is one. */
export function applyEvent(cache: QueryClient, event: DanaEvent): void {
  if (event.type === "conversations_job_advanced" || event.type === "knowledge_job_advanced") putJob(cache, event.job);
}

export function putJob(cache: QueryClient, job: Job): void {
  cache.setQueryData<JobPages>(keys.jobs, (pages) => pages && placeJob(pages, job));
}

/** Replace a job by its newer version, or put a new one where it belongs, newest first: pure. */
export function placeJob(pages: JobPages, job: Job): JobPages {
  const isKnown = pages.pages.some((page) => page.items.some(({ id }) => id === job.id));
  if (isKnown) {
    const renew = (item: Job) => (item.id === job.id ? newer(item, job) : item);
    return { ...pages, pages: pages.pages.map((page) => ({ ...page, items: page.items.map(renew) })) };
  }
  const at = pages.pages.findIndex((page) => page.items.some(({ id }) => id < job.id) || !page.next_cursor);
  if (at < 0) return pages; // older than all that is loaded: it comes with its own page
  return { ...pages, pages: pages.pages.map((page, index) => (index === at ? { ...page, items: insert(page.items, job) } : page)) };
}

/** Ids are made in the order of time. */
function insert(items: readonly Job[], job: Job): Job[] {
  const at = items.findIndex(({ id }) => id < job.id);
  return at < 0 ? [...items, job] : items.toSpliced(at, 0, job);
}
