import type { InfiniteData, QueryClient } from "@tanstack/react-query";
import type { Conversation, Message } from "@/platform/api/types";
import { invalidateSoon, newer } from "@/platform/query";
import type { DanaEvent } from "@/platform/realtime/frames";
import { type ConversationPages, type Filter, type Hit, type HitPages, keys, type MessagePages } from "./queries";

/** Bring lists, the open conversation and its messages up to date with an event. */
export function applyEvent(cache: QueryClient, event: DanaEvent): void {
  if (event.type === "conversations_deleted") dropConversations(cache, event.conversation_ids);
  if (!("conversation" in event)) return;
  putConversation(cache, event.conversation);
  if (event.type === "message_appended") putMessage(cache, event.message);
}

/** Put a conversation, from an event or from an answer of the API, wherever it is shown. */
export function putConversation(cache: QueryClient, conversation: Conversation): void {
  cache.setQueryData<Conversation>(keys.one(conversation.id), (before) => before && newer(before, conversation));
  for (const [key, pages] of cache.getQueriesData<ConversationPages>({ queryKey: keys.lists })) {
    const filter = key[2] as Filter;
    if (pages) cache.setQueryData(key, placeInList(pages, filter, conversation));
  }
  cache.setQueriesData<HitPages>({ queryKey: keys.searches }, (pages) => pages && renewHits(pages, conversation));
  invalidateSoon(cache, keys.counts);
}

/** Take deleted conversations off every list; who has one open is told that it is gone. */
export function dropConversations(cache: QueryClient, ids: readonly string[]): void {
  const gone = new Set(ids);
  for (const [key, pages] of cache.getQueriesData<ConversationPages>({ queryKey: keys.lists })) {
    const rest = pages && without(pages, ({ id }) => gone.has(id));
    if (rest === pages) continue;
    cache.setQueryData(key, rest);
    invalidateSoon(cache, key); // what is left may be less than a screen
  }
  cache.setQueriesData<HitPages>({ queryKey: keys.searches }, (pages) => pages && without(pages, ({ conversation }) => gone.has(conversation.id)));
  for (const id of ids) {
    if (cache.getQueryData(keys.one(id))) void cache.invalidateQueries({ queryKey: keys.one(id) });
    cache.removeQueries({ queryKey: keys.messages(id), type: "inactive" });
  }
  invalidateSoon(cache, keys.counts);
}

/** Put a message into its conversation; when one before it is missing, fetch them again. */
export function putMessage(cache: QueryClient, message: Message): void {
  const key = keys.messages(message.conversation_id);
  const before = cache.getQueryData<MessagePages>(key);
  if (!before) return;
  const after = appendMessage(before, message);
  if (after) cache.setQueryData(key, after);
  else void cache.invalidateQueries({ queryKey: key });
}

/** Where a conversation stands in a list, newest activity first: pure. */
export function placeInList(pages: ConversationPages, filter: Filter, conversation: Conversation): ConversationPages {
  const known = pages.pages.flatMap((page) => page.items).find(({ id }) => id === conversation.id);
  if (known && known.version >= conversation.version) return pages;
  const rest = pages.pages.map((page) => ({ ...page, items: page.items.filter(({ id }) => id !== conversation.id) }));
  if (!matches(filter, conversation)) return known ? { ...pages, pages: rest } : pages;
  const last = rest.length - 1;
  const at = rest.findIndex(
    (page, index) => page.items.some((item) => isBefore(conversation, item)) || (index === last && !page.next_cursor),
  );
  // Older than all that is loaded, and more exists on the server: it comes with its own page.
  if (at < 0) return known ? { ...pages, pages: rest } : pages;
  return { ...pages, pages: rest.map((page, index) => (index === at ? { ...page, items: insert(page.items, conversation) } : page)) };
}

/** Show a conversation as it is now wherever it was found: pure. What matched stays as it was found. */
export function renewHits(pages: HitPages, conversation: Conversation): HitPages {
  const isOfIt = (hit: Hit) => hit.conversation.id === conversation.id;
  if (!pages.pages.some((page) => page.items.some(isOfIt))) return pages;
  const renew = (hit: Hit) => (isOfIt(hit) ? { ...hit, conversation: newer(hit.conversation, conversation) } : hit);
  return { ...pages, pages: pages.pages.map((page) => ({ ...page, items: page.items.map(renew) })) };
}

/** Append a message to the newest page: pure. Null when a message before it is missing. */
export function appendMessage(pages: MessagePages, message: Message): MessagePages | null {
  const [newest, ...older] = pages.pages;
  if (!newest) return null;
  const lastSeq = newest.items.at(-1)?.seq ?? 0;
  if (message.seq <= lastSeq) return pages;
  if (message.seq > lastSeq + 1) return null;
  return { ...pages, pages: [{ ...newest, items: [...newest.items, message] }, ...older] };
}

function without<P extends { items: unknown[] }>(
  pages: InfiniteData<P, string | undefined>,
  isGone: (item: P["items"][number]) => boolean,
): InfiniteData<P, string | undefined> {
  if (!pages.pages.some((page) => page.items.some(isGone))) return pages;
  return { ...pages, pages: pages.pages.map((page) => ({ ...page, items: page.items.filter((item) => !isGone(item)) })) };
}

function insert(items: readonly Conversation[], conversation: Conversation): Conversation[] {
  const at = items.findIndex((item) => isBefore(conversation, item));
  return at < 0 ? [...items, conversation] : [...items.slice(0, at), conversation, ...items.slice(at)];
}

function isBefore(one: Conversation, other: Conversation): boolean {
  const [a, b] = [Date.parse(one.last_activity_at), Date.parse(other.last_activity_at)];
  return a === b ? one.id > other.id : a > b;
}

function matches(filter: Filter, conversation: Conversation): boolean {
  return (
    conversation.status === filter.status &&
    (!filter.assigneeId || conversation.assignee_id === filter.assigneeId) &&
    (!filter.inboxId || conversation.inbox_id === filter.inboxId)
  );
}
