/** Everything the widget shows, and the one pure function that changes it. */

import type { CommittedEvent, Inbox, Message, Standing } from "./wire";

export type Delivery = "waiting" | "sending" | "failed";

/** A message of the customer that the server has not confirmed yet. */
export interface Outgoing {
  key: string;
  text: string;
  delivery: Delivery;
  reason: string;
  /** The last message known when it was first sent: its own echo can only come after that. */
  afterSeq: number | null;
}

export interface Draft {
  messageId: string;
  turn: number;
  text: string;
  name: string;
}

export interface State {
  inbox: Inbox | null;
  isInboxMissing: boolean;
  hasConversation: boolean;
  standing: Standing | null;
  messages: readonly Message[];
  /** Up to here nothing is missing; messages beyond it may have a gap before them. */
  syncedSeq: number;
  cursor: number;
  outbox: readonly Outgoing[];
  draft: Draft | null;
  typingName: string | null;
  connection: "idle" | "connecting" | "live" | "asleep";
  isOpen: boolean;
  readSeq: number;
}

export type Change =
  | { type: "inbox_loaded"; inbox: Inbox }
  | { type: "inbox_missing" }
  | { type: "started" }
  | { type: "forgotten" }
  | { type: "page"; items: readonly Message[]; cursor: number | null; standing: Standing }
  | { type: "event"; cursor: number; event: CommittedEvent }
  | { type: "caught_up"; cursor: number }
  | { type: "queued"; key: string; text: string }
  | { type: "delivery"; key: string; delivery: Delivery; reason?: string }
  | { type: "sent"; key: string; message: Message }
  | { type: "discarded"; key: string }
  | { type: "draft"; draft: Draft }
  | { type: "draft_ended"; messageId: string }
  | { type: "typing"; name: string | null }
  | { type: "connection"; connection: State["connection"] }
  | { type: "opened" }
  | { type: "closed" }
  | { type: "seen" };

export function emptyState(readSeq = 0): State {
  return {
    inbox: null,
    isInboxMissing: false,
    hasConversation: false,
    standing: null,
    messages: [],
    syncedSeq: 0,
    cursor: 0,
    outbox: [],
    draft: null,
    typingName: null,
    connection: "idle",
    isOpen: false,
    readSeq,
  };
}

export function apply(state: State, change: Change): State {
  switch (change.type) {
    case "inbox_loaded":
      return { ...state, inbox: change.inbox, isInboxMissing: false };
    case "inbox_missing":
      return { ...state, isInboxMissing: true };
    case "started":
      return { ...state, hasConversation: true, connection: "connecting" };
    case "forgotten":
      return { ...emptyState(), inbox: state.inbox, isOpen: state.isOpen, outbox: state.outbox.map(waitAgain) };
    case "page":
      return withPage(state, change.items, change.cursor, change.standing);
    case "event":
      return withEvent(state, change.cursor, change.event);
    case "caught_up":
      return { ...state, cursor: Math.max(state.cursor, change.cursor) };
    case "draft":
      return withDraft(state, change.draft);
    case "draft_ended":
      return state.draft?.messageId === change.messageId ? { ...state, draft: null } : state;
    case "typing":
      return { ...state, typingName: change.name };
    case "connection":
      return { ...state, connection: change.connection };
    case "opened":
      return { ...state, isOpen: true };
    case "closed":
      return { ...state, isOpen: false };
    case "seen":
      return { ...state, readSeq: lastSeq(state) };
    default:
      return withOutbox(state, change);
  }
}

type OutboxChange = Extract<Change, { type: "queued" | "delivery" | "sent" | "discarded" }>;

function withOutbox(state: State, change: OutboxChange): State {
  switch (change.type) {
    case "queued":
      if (state.outbox.some((item) => item.key === change.key)) return state;
      return {
        ...state,
        outbox: [...state.outbox, { key: change.key, text: change.text, delivery: "waiting", reason: "", afterSeq: null }],
      };
    case "delivery":
      return {
        ...state,
        outbox: state.outbox.map((item) =>
          item.key === change.key
            ? {
                ...item,
                delivery: change.delivery,
                reason: change.reason ?? "",
                afterSeq: item.afterSeq ?? (change.delivery === "sending" ? lastSeq(state) : null),
              }
            : item,
        ),
      };
    case "sent":
      return { ...withMessages(state, [change.message]), outbox: without(state.outbox, change.key) };
    case "discarded":
      return { ...state, outbox: without(state.outbox, change.key) };
  }
}

function withPage(state: State, items: readonly Message[], cursor: number | null, standing: Standing): State {
  const next = withMessages(state, items);
  const syncedSeq = Math.max(next.syncedSeq, items.at(-1)?.seq ?? 0);
  if (cursor === null || cursor < state.cursor) return { ...next, syncedSeq };
  return { ...next, syncedSeq, cursor, standing };
}

function withEvent(state: State, cursor: number, event: CommittedEvent): State {
  const next = event.message ? withMessages(state, [event.message]) : state;
  if (cursor <= state.cursor) return next;
  return {
    ...next,
    cursor,
    syncedSeq: Math.max(next.syncedSeq, event.message?.seq ?? 0),
    standing: event.conversation
      ? { status: event.conversation.status, assignee_name: event.conversation.assignee_name }
      : next.standing,
  };
}

/** Add messages that are not there yet; the order is theirs (`seq`), not that of arrival. */
function withMessages(state: State, arrived: readonly Message[]): State {
  const known = new Set(state.messages.map((message) => message.id));
  const fresh = arrived.filter((message) => !known.has(message.id));
  if (fresh.length === 0) return state;
  const messages = [...state.messages, ...fresh].toSorted((a, b) => a.seq - b.seq);
  const hasAnswered = fresh.some((message) => message.author === "agent" || message.author === "assistant");
  const isDraftDone = state.draft !== null && fresh.some((message) => message.id === state.draft?.messageId);
  const isDraftStale = fresh.some((message) => message.author === "agent" || message.author === "customer");
  return {
    ...state,
    messages,
    draft: isDraftDone || isDraftStale ? null : state.draft,
    typingName: hasAnswered ? null : state.typingName,
  };
}

/** Drafts can arrive late and out of order: an older turn, or a draft of a finished message, is no news. */
function withDraft(state: State, draft: Draft): State {
  if (state.messages.some((message) => message.id === draft.messageId)) return state;
  if (state.draft && draft.turn < state.draft.turn) return state;
  if (state.standing && state.standing.status !== "pending") return state;
  return { ...state, draft };
}

function without(outbox: readonly Outgoing[], key: string): readonly Outgoing[] {
  return outbox.filter((item) => item.key !== key);
}

function waitAgain(item: Outgoing): Outgoing {
  return item.delivery === "sending" ? { ...item, delivery: "waiting" } : item;
}

export function lastSeq(state: State): number {
  return state.messages.at(-1)?.seq ?? 0;
}

/** How many messages of the other side the customer has not seen. */
export function unreadCount(state: State): number {
  return state.messages.filter(
    (message) => message.seq > state.readSeq && (message.author === "agent" || message.author === "assistant"),
  ).length;
}

/**
 * The outgoing messages to show: one whose event came before the answer to its request
 * already stands among the messages, and would be seen twice.
 */
export function visibleOutbox(state: State): readonly Outgoing[] {
  return state.outbox.filter((item) => {
    const { afterSeq } = item;
    if (afterSeq === null || item.delivery === "failed") return true;
    return !state.messages.some(
      (message) => message.author === "customer" && message.seq > afterSeq && message.text === item.text,
    );
  });
}
