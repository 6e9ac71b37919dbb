import { QueryClient } from "@tanstack/react-query";
import { describe, expect, it } from "vitest";
import type { Conversation, Message } from "@/platform/api/types";
import type { ConversationEvent, DanaEvent } from "@/platform/realtime/frames";
import { applyEvent } from "./events";
import { type ConversationPages, type Filter, type Hit, type HitPages, keys, type MessagePages } from "./queries";

const MINUTE = 60_000;

function conversation(id: string, part: Partial<Conversation> = {}): Conversation {
  return {
    id,
    inbox_id: "website",
    contact: { id: `contact-${id}`, name: "Amara", email: null, created_at: at(0) },
    status: "open",
    assignee_id: null,
    assignee_name: null,
    last_seq: 1,
    last_text: "Hello",
    last_author: "customer",
    unread_count: 1,
    version: 1,
    snoozed_until: null,
    last_activity_at: at(0),
    created_at: at(0),
    ...part,
  };
}

function message(seq: number, conversationId = "a"): Message {
  return {
    id: `${conversationId}-${seq}`,
    conversation_id: conversationId,
    seq,
    author: "customer",
    author_id: null,
    author_name: "Amara",
    text: `text ${seq}`,
    is_private: false,
    created_at: at(seq),
    action: null,
    citations: [],
  };
}

function at(minutes: number): string {
  return new Date(Date.UTC(2026, 0, 1) + minutes * MINUTE).toISOString();
}

function hit(id: string, seq: number): Hit {
  return {
    conversation: conversation(id),
    seq,
    author: "customer",
    author_name: "Amara",
    is_private: false,
    created_at: at(seq),
    excerpt: [{ text: "a ", is_match: false }, { text: "refund", is_match: true }],
    contact_name: [{ text: "Amara", is_match: false }],
    contact_email: [],
  };
}

function found(...items: Hit[]): HitPages {
  return { pages: [{ items, next_cursor: null, is_cut_short: false }], pageParams: [undefined] };
}

/** What the server would answer: the list of all conversations that the filter admits, newest activity first. */
function fetched(all: readonly Conversation[], filter: Filter): ConversationPages {
  const items = all
    .filter(({ status, assignee_id }) => status === filter.status && (!filter.assigneeId || assignee_id === filter.assigneeId))
    .toSorted((one, other) => other.last_activity_at.localeCompare(one.last_activity_at));
  return { pages: [{ items, next_cursor: null, org_cursor: 0 }], pageParams: [undefined] };
}

function messagePages(...items: Message[]): MessagePages {
  return { pages: [{ items, next_cursor: null, org_cursor: 0 }], pageParams: [undefined] };
}

function append(seq: number): ConversationEvent {
  return { type: "message_appended", conversation: conversation("a", { version: seq }), message: message(seq) };
}

const FILTERS: readonly Filter[] = [{ status: "open" }, { status: "pending" }, { status: "resolved" }, { status: "open", assigneeId: "maya" }];

describe("the list of conversations", () => {
  const before = [conversation("a", { last_activity_at: at(3) }), conversation("b", { last_activity_at: at(2), status: "pending" })];
  const cases: Record<string, ConversationEvent> = {
    "a conversation starts": { type: "conversation_started", conversation: conversation("c", { last_activity_at: at(9) }) },
    "the customer writes": {
      type: "message_appended",
      conversation: conversation("b", { version: 2, status: "pending", last_activity_at: at(9), last_text: "More" }),
      message: message(2, "b"),
    },
    "the assistant hands over": {
      type: "conversation_handed_over",
      conversation: conversation("b", { version: 2, last_activity_at: at(9) }),
      reason: "not covered",
    },
    "an agent takes over": {
      type: "conversation_taken_over",
      conversation: conversation("b", { version: 2, assignee_id: "maya", last_activity_at: at(9) }),
    },
    "an agent resolves": { type: "conversation_resolved", conversation: conversation("a", { version: 2, status: "resolved", last_activity_at: at(9) }) },
    "somebody reads": { type: "conversation_read", conversation: conversation("a", { version: 2, unread_count: 0, last_activity_at: at(3) }) },
  };

  it.each(Object.entries(cases))("after %s is as if it were fetched again", (_, event) => {
    const cache = new QueryClient();
    for (const filter of FILTERS) cache.setQueryData(keys.list(filter), fetched(before, filter));
    applyEvent(cache, event);
    applyEvent(cache, event);
    const after = [...before.filter(({ id }) => id !== event.conversation.id), event.conversation];
    for (const filter of FILTERS) expect(cache.getQueryData(keys.list(filter))).toEqual(fetched(after, filter));
  });

  it("ignores an event that is older than what it shows", () => {
    const cache = new QueryClient();
    const filter: Filter = { status: "open" };
    const shown = fetched([conversation("a", { version: 7, last_text: "new" })], filter);
    cache.setQueryData(keys.list(filter), shown);
    applyEvent(cache, { type: "conversation_read", conversation: conversation("a", { version: 6, last_text: "old" }) });
    expect(cache.getQueryData(keys.list(filter))).toBe(shown);
  });

  it("leaves out what belongs to a page not yet loaded", () => {
    const cache = new QueryClient();
    const filter: Filter = { status: "open" };
    const first: ConversationPages = {
      pages: [{ items: [conversation("a", { last_activity_at: at(9) })], next_cursor: "more", org_cursor: 0 }],
      pageParams: [undefined],
    };
    cache.setQueryData(keys.list(filter), first);
    applyEvent(cache, { type: "conversation_read", conversation: conversation("z", { version: 4, last_activity_at: at(1) }) });
    expect(cache.getQueryData(keys.list(filter))).toEqual(first);
  });
});

describe("the messages of a conversation", () => {
  it("grow in order, and a repeated event changes nothing", () => {
    const cache = new QueryClient();
    cache.setQueryData(keys.messages("a"), messagePages(message(1)));
    for (const seq of [2, 2, 3, 1, 3]) applyEvent(cache, append(seq));
    expect(cache.getQueryData(keys.messages("a"))).toEqual(messagePages(message(1), message(2), message(3)));
  });

  it("are fetched again when one in between is missing", () => {
    const cache = new QueryClient();
    cache.setQueryData(keys.messages("a"), messagePages(message(1)));
    applyEvent(cache, append(3));
    expect(cache.getQueryState(keys.messages("a"))?.isInvalidated).toBe(true);
  });

  it("are left alone when the conversation was never opened", () => {
    const cache = new QueryClient();
    applyEvent(cache, append(2));
    expect(cache.getQueryData(keys.messages("a"))).toBeUndefined();
  });
});

describe("what was found", () => {
  it("shows each conversation as it is now, in every search, and never an older one", () => {
    const cache = new QueryClient();
    for (const query of ["refund", "amara"]) cache.setQueryData(keys.search(query), found(hit("a", 4), hit("b", 2), hit("a", 1)));
    const resolved = conversation("a", { version: 2, status: "resolved" });
    applyEvent(cache, { type: "conversation_resolved", conversation: resolved });
    applyEvent(cache, { type: "conversation_read", conversation: conversation("a", { version: 1 }) });
    const now = (one: Hit): Hit => ({ ...one, conversation: resolved });
    for (const query of ["refund", "amara"]) {
      expect(cache.getQueryData(keys.search(query))).toEqual(found(now(hit("a", 4)), hit("b", 2), now(hit("a", 1))));
    }
  });

  it("stays the same object when none of it has changed", () => {
    const cache = new QueryClient();
    const shown = found(hit("a", 1));
    cache.setQueryData(keys.search("refund"), shown);
    applyEvent(cache, { type: "conversation_read", conversation: conversation("b", { version: 2 }) });
    expect(cache.getQueryData(keys.search("refund"))).toBe(shown);
  });
});

describe("what was deleted by a long job", () => {
  const gone: DanaEvent = { type: "conversations_deleted", conversation_ids: ["a", "c"] };

  it("is as if the lists, and what was found, were fetched again", () => {
    const all = ["a", "b", "c"].map((id) => conversation(id));
    const cache = new QueryClient();
    for (const filter of FILTERS) cache.setQueryData(keys.list(filter), fetched(all, filter));
    cache.setQueryData(keys.search("refund"), found(hit("a", 4), hit("b", 2)));
    applyEvent(cache, gone);
    for (const filter of FILTERS) expect(cache.getQueryData(keys.list(filter))).toEqual(fetched([conversation("b")], filter));
    expect(cache.getQueryData(keys.search("refund"))).toEqual(found(hit("b", 2)));
  });

  it("is asked for again where it is open, and its messages are forgotten", () => {
    const cache = new QueryClient();
    for (const id of ["a", "b"]) {
      cache.setQueryData(keys.one(id), conversation(id));
      cache.setQueryData(keys.messages(id), messagePages(message(1, id)));
    }
    applyEvent(cache, gone);
    expect(["a", "b"].map((id) => cache.getQueryState(keys.one(id))?.isInvalidated)).toEqual([true, false]);
    expect(["a", "b"].map((id) => cache.getQueryData(keys.messages(id)) === undefined)).toEqual([true, false]);
  });
});
