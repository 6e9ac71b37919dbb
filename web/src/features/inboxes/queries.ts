import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";

export const keys = { all: ["inboxes"] as const };

export function inboxesQuery() {
  return queryOptions({
    queryKey: keys.all,
    queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/inboxes", { signal }))).items,
  });
}
