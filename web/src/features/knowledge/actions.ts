import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import { notifyDone, notifyFailed } from "@/ui/notify";
import { dropDocument, putDocument } from "./events";

export function useRetry() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.POST("/api/v1/knowledge/documents/{document_id}/retry", { params: { path: { document_id: id } } })),
    onSuccess: (document) => putDocument(cache, document),
    onError: (error) => notifyFailed("The document was not tried again", error),
  });
}

export function useDelete() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/knowledge/documents/{document_id}", { params: { path: { document_id: id } } })),
    onSuccess: (_, id) => {
      dropDocument(cache, id);
      notifyDone("Deleted. The assistant no longer uses it.");
    },
    onError: (error) => notifyFailed("The document was not deleted", error),
  });
}

/** Index everything anew; how far it is, is on the page of jobs. */
export function useReindex(onStarted: () => void) {
  return useMutation({
    mutationFn: (key: string) => unwrap(api.POST("/api/v1/knowledge/reindex", { params: { header: { "Idempotency-Key": key } } })),
    onSuccess: onStarted,
    onError: (error) => notifyFailed("The documents are not indexed anew", error),
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
