import type { QueryClient } from "@tanstack/react-query";
import type { Conversation, Message } from "@/platform/api/types";
import { insert, without } from "@/platform/pages";
import { invalidateSoon, newer } from "@/platform/query";
import type { DanaEvent } from "@/platform/realtime/frames";
import { compareTimes } from "@/platform/times";
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
  const rest = without(pages, ({ id }) => id === conversation.id);
  return matches(filter, conversation) ? insert(rest, conversation, isBefore) : rest;
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

function isBefore(one: Conversation, other: Conversation): boolean {
  const order = compareTimes(one.last_activity_at, other.last_activity_at);
  return order === 0 ? one.id > other.id : order > 0;
}

function matches(filter: Filter, conversation: Conversation): boolean {
  return (
    conversation.status === filter.status &&
    (!filter.assigneeId || conversation.assignee_id === filter.assigneeId) &&
    (!filter.inboxId || conversation.inbox_id === filter.inboxId)
  );
}
