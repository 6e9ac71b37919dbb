import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import type { Assistant } from "@/platform/api/types";
import { notifyDone, notifyFailed } from "@/ui/notify";

const KEY = ["assistant"] as const;

export function assistantQuery() {
  return queryOptions({
    queryKey: KEY,
    // No event tells of another admin's change, so it is read afresh with every visit.
    gcTime: 0,
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/assistant", { signal })),
  });
}

export function useSave() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (body: Assistant) => unwrap(api.PUT("/api/v1/assistant", { body })),
    onSuccess: (saved) => {
      cache.setQueryData(KEY, saved);
      notifyDone("Saved. The next answer uses it.");
    },
    onError: (error) => notifyFailed("The settings were not saved", error),
  });
}

export function useTry() {
  return useMutation({
    mutationFn: (question: string) => unwrap(api.POST("/api/v1/assistant/try", { body: { question } })),
  });
}
