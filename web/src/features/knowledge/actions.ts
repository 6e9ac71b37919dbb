import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import { notifyDone, notifyFailed } from "@/ui/notify";
import { dropDocument, putDocument } from "./events";

export function useRetry() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.POST("/api/v1/knowledge/documents/{id}/retry", { params: { path: { id } } })),
    onSuccess: (document) => putDocument(cache, document),
    onError: (error) => notifyFailed("The document was not tried again", error),
  });
}

export function useDelete() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/knowledge/documents/{id}", { params: { path: { id } } })),
    onSuccess: (_, id) => {
      dropDocument(cache, id);
      notifyDone("Deleted. The assistant no longer uses it.");
    },
    onError: (error) => notifyFailed("The document was not deleted", error),
  });
}

/** Add the sample help centre of an imaginary shop. */
export function useSample() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/knowledge/sample")),
    onSuccess: ({ items }) => {
      for (const document of items) putDocument(cache, document);
    },
    onError: (error) => notifyFailed("The sample was not added", error),
  });
}
