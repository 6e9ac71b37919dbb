import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import type { Job } from "@/platform/api/types";
import { type Page, type Pages, withEnd } from "@/platform/pages";

export type JobPages = Pages<Page<Job>>;

const JOBS_A_PAGE = 30;
const PROBLEMS_A_PAGE = 100;

export const keys = {
  jobs: ["jobs", "list"] as const,
  problems: (id: string) => ["jobs", "problems", id] as const,
};

export function jobsQuery() {
  return infiniteQueryOptions({
    queryKey: keys.jobs,
    queryFn: async ({ pageParam, signal }): Promise<Page<Job>> =>
      withEnd(await unwrap(api.GET("/api/v1/jobs", { params: { query: { limit: JOBS_A_PAGE, cursor: pageParam } }, signal }))),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}

export function problemsQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: keys.problems(id),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/jobs/{job_id}/problems", {
          params: { path: { job_id: id }, query: { limit: PROBLEMS_A_PAGE, cursor: pageParam } },
          signal,
        }),
      ),
    staleTime: 0,
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}
