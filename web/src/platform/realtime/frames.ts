import type { Conversation, Document, Inbox, Job, Member, Message } from "@/platform/api/types";

/** What the socket says. Unknown types are ignored, so that an older page survives a newer server. */
export type Frame =
  | { type: "hello"; cursor: number; heartbeat_seconds: number; valid_seconds: number; channels: string[] }
  | { type: "renewed"; valid_seconds: number }
  | { type: "bye"; code: number; reason: string; retry_ms: number }
  | { type: "subscribed"; channel: string; cursor: number }
  | { type: "unsubscribed"; channel: string }
  | { type: "refused"; channel: string; reason: string }
  | News;

/** What a connection passes on: the rest is its own affair. */
export type News = EventFrame | Heartbeat | Resync | Presence | Ephemeral;

export interface EventFrame {
  type: "event";
  cursor: number;
  position?: string;
  id: string;
  created_at: string;
  event: DanaEvent;
}

/** Everything up to the cursor has been sent. */
export interface Heartbeat {
  type: "heartbeat";
  cursor: number;
}

/** The server can't replay what was missed: everything up to the cursor must be fetched again. */
export interface Resync {
  type: "resync";
  cursor: number;
  position?: string;
}

/** Who follows a channel now: the whole list each time. */
export interface Presence {
  type: "presence";
  channel: string;
  people: Present[];
  /** How many there are when `people` doesn't hold them all. */
  count?: number;
}

export interface Present {
  id: string;
  kind: "member" | "visitor";
  name: string;
  state: "online" | "away";
}

/** What a client says, apart from what keeps its connection going. */
export type Saying =
  | { type: "typing"; conversation_id: string; is_typing: boolean }
  | { type: "state"; state: "online" | "away" };

export type Ephemeral = Typing | Draft;

export interface Typing {
  type: "ephemeral";
  conversation_id: string;
  name: "typing";
  who: "agent" | "customer" | "assistant";
  author_name: string;
  is_typing: boolean;
}

export interface Draft {
  type: "ephemeral";
  conversation_id: string;
  name: "draft";
  message_id: string;
  turn: number;
  text: string;
  done: boolean;
}

export type ConversationEvent =
  | { type: "message_appended"; conversation: Conversation; message: Message }
  | { type: "conversation_handed_over"; conversation: Conversation; reason: string }
  | {
      type:
        | "conversation_started"
        | "conversation_taken_over"
        | "conversation_assigned"
        | "conversation_resolved"
        | "conversation_reopened"
        | "conversation_snoozed"
        | "conversation_read";
      conversation: Conversation;
    };

/** Many at once, by a long job. */
export type DeletionEvent = { type: "conversations_deleted"; conversation_ids: string[] };
export type JobEvent = { type: "conversations_job_advanced" | "knowledge_job_advanced"; job: Job };

export type KnowledgeEvent =
  | { type: "document_queued" | "document_changed"; document: Document }
  | { type: "document_deleted"; document_id: string };

export type InboxEvent = { type: "inbox_created" | "inbox_changed"; inbox: Inbox };
export type MemberEvent = { type: "member_joined" | "member_changed"; member: Member };
export type OrganizationEvent = { type: "organization_created"; name: string };

export type DanaEvent =
  | ConversationEvent
  | DeletionEvent
  | JobEvent
  | KnowledgeEvent
  | InboxEvent
  | MemberEvent
  | OrganizationEvent;

/** Read a text frame; null when it isn't one of ours. */
export function readFrame(text: string): Frame | null {
  try {
    const frame: unknown = JSON.parse(text);
    return typeof frame === "object" && frame !== null && "type" in frame ? (frame as Frame) : null;
  } catch {
    return null;
  }
}
