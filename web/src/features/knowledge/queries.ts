import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import type { Document } from "@/platform/api/types";
import { type Page, type Pages, withEnd } from "@/platform/pages";

export type DocumentPages = Pages<Page<Document>>;

const DOCUMENTS_A_PAGE = 100;
const PASSAGES_A_PAGE = 50;
const HITS = 5;

export const keys = {
  documents: ["knowledge", "documents"] as const,
  passages: (id: string) => ["knowledge", "passages", id] as const,
  search: (question: string) => ["knowledge", "search", question] as const,
  searches: ["knowledge", "search"] as const,
};

export function documentsQuery() {
  return infiniteQueryOptions({
    queryKey: keys.documents,
    queryFn: async ({ pageParam, signal }): Promise<Page<Document>> => {
      const query = { limit: DOCUMENTS_A_PAGE, cursor: pageParam };
      return withEnd(await unwrap(api.GET("/api/v1/knowledge/documents", { params: { query }, signal })));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}

/** Whether there is anything to index anew. */
export function hasDocumentsQuery() {
  return infiniteQueryOptions({
    ...documentsQuery(),
    select: ({ pages }) => pages.some((page) => page.items.some(({ status }) => status === "searchable")),
  });
}

export function documentQuery(id: string) {
  return queryOptions({
    queryKey: ["knowledge", "document", id],
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/knowledge/documents/{document_id}", { params: { path: { document_id: id } }, signal })),
  });
}

export function passagesQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: keys.passages(id),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/knowledge/documents/{document_id}/passages", {
          params: { path: { document_id: id }, query: { limit: PASSAGES_A_PAGE, cursor: pageParam } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}

export function searchQuery(question: string) {
  return queryOptions({
    queryKey: keys.search(question),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/knowledge/search", { params: { query: { q: question, limit: HITS } }, signal })),
    enabled: question !== "",
    placeholderData: keepPreviousData,
  });
}
