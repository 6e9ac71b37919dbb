import type { QueryClient } from "@tanstack/react-query";
import type { Job } from "@/platform/api/types";
import { insert } from "@/platform/pages";
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
  return insert(pages, job, isBefore);
}

/** Ids are made in the order of time. */
function isBefore(one: Job, other: Job): boolean {
  return one.id > other.id;
}
