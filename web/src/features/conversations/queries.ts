import { infiniteQueryOptions, type InfiniteData, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import type { Conversation, ConversationHit, Message, Status } from "@/platform/api/types";
import { type Page, withEnd } from "@/platform/pages";

/** Which conversations a list shows. */
export interface Filter {
  status: Status;
  assigneeId?: string;
  inboxId?: string;
}

export interface ConversationPage extends Page<Conversation> {
  org_cursor: number;
}

export interface MessagePage {
  items: Message[];
  next_cursor: string | null;
  org_cursor: number;
}

/** A found message with its conversation; texts come in pieces that match or not. */
export type Hit = ConversationHit;

export interface HitPage {
  items: Hit[];
  next_cursor: string | null;
  /** The server stopped before it had a full page; `next_cursor` goes on. */
  is_cut_short: boolean;
}

export type HitPages = InfiniteData<HitPage, string | undefined>;
export type ConversationPages = InfiniteData<ConversationPage, string | undefined>;
/** The newest page first; messages within a page oldest first. */
export type MessagePages = InfiniteData<MessagePage, string | undefined>;

const CONVERSATIONS_A_PAGE = 30;
const MESSAGES_A_PAGE = 50;
const HITS_A_PAGE = 20;
/** What was found a moment ago is shown again at once, and looked for anew behind. */
const HITS_FRESH_MS = 10_000;

export const keys = {
  lists: ["conversations", "list"] as const,
  list: (filter: Filter) => ["conversations", "list", filter] as const,
  one: (id: string) => ["conversations", "one", id] as const,
  messages: (id: string) => ["conversations", "messages", id] as const,
  counts: ["conversations", "counts"] as const,
  searches: ["conversations", "search"] as const,
  search: (query: string) => ["conversations", "search", query] as const,
};

export function listQuery(filter: Filter) {
  return infiniteQueryOptions({
    queryKey: keys.list(filter),
    queryFn: async ({ pageParam, signal }): Promise<ConversationPage> => {
      const query = {
        status: filter.status,
        assignee_id: filter.assigneeId,
        inbox_id: filter.inboxId,
        limit: CONVERSATIONS_A_PAGE,
        cursor: pageParam,
      };
      return withEnd(await unwrap(api.GET("/api/v1/conversations", { params: { query }, signal })));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}

export function conversationQuery(id: string) {
  return queryOptions({
    queryKey: keys.one(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/conversations/{conversation_id}", { params: { path: { conversation_id: id } }, signal })),
  });
}

export function messagesQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: keys.messages(id),
    queryFn: ({ pageParam, signal }): Promise<MessagePage> =>
      unwrap(
        api.GET("/api/v1/conversations/{conversation_id}/messages", {
          params: { path: { conversation_id: id }, query: { before: pageParam === undefined ? undefined : Number(pageParam), limit: MESSAGES_A_PAGE } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}

export function searchQuery(query: string) {
  return infiniteQueryOptions({
    queryKey: keys.search(query),
    queryFn: ({ pageParam, signal }): Promise<HitPage> =>
      unwrap(api.GET("/api/v1/conversations/search", { params: { query: { q: query, cursor: pageParam, limit: HITS_A_PAGE } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    staleTime: HITS_FRESH_MS,
    placeholderData: keepPreviousData,
  });
}

export function countsQuery() {
  return queryOptions({
    queryKey: keys.counts,
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/conversations/counts", { signal })),
  });
}

/** The organization's cursor, from which the socket continues: asked before anything else is. */
export async function fetchCursor(): Promise<number> {
  const page = await unwrap(api.GET("/api/v1/conversations", { params: { query: { limit: 1 } } }));
  return page.org_cursor;
}
