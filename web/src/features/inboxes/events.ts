import type { QueryClient } from "@tanstack/react-query";
import type { Inbox } from "@/platform/api/types";
import { placed } from "@/platform/pages";
import type { DanaEvent } from "@/platform/realtime/frames";
import { keys } from "./queries";

export function applyEvent(cache: QueryClient, event: DanaEvent): void {
  if (event.type === "inbox_created" || event.type === "inbox_changed") putInbox(cache, event.inbox);
}

/** Replace an inbox, or put a new one where it belongs, oldest first. */
export function putInbox(cache: QueryClient, inbox: Inbox): void {
  cache.setQueryData<Inbox[]>(keys.all, (before) => before && placeInbox(before, inbox));
}

export function placeInbox(before: readonly Inbox[], inbox: Inbox): Inbox[] {
  const isKnown = before.some(({ id }) => id === inbox.id);
  return isKnown ? before.map((one) => (one.id === inbox.id ? inbox : one)) : placed(before, inbox, (one, other) => one.id < other.id);
}
