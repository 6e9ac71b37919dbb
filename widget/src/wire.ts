/** What the widget and the server say to each other, as the customer sees it. */

export type Author = "customer" | "agent" | "assistant" | "system";
export type Status = "open" | "pending" | "snoozed" | "resolved";

export interface Citation {
  document_id: string;
  title: string;
  passage: string;
  quote?: string;
}

export interface Message {
  id: string;
  seq: number;
  author: Author;
  author_name: string;
  text: string;
  created_at: string;
  action?: "reply" | "clarify" | "hand_over" | null;
  citations?: readonly Citation[];
}

export interface Inbox {
  name: string;
  greeting: string;
  is_assistant_enabled: boolean;
}

export interface Standing {
  status: Status;
  assignee_name: string | null;
}

export interface Started {
  conversation_id: string;
  token: string;
  cursor: number;
  conversation: Standing;
}

export interface Page {
  items: Message[];
  next_cursor: string | null;
  cursor: number;
  conversation: Standing;
}

export interface CommittedEvent {
  type: string;
  message?: Message;
  conversation?: Standing;
}

/** The only thing that the widget says to others and that isn't kept. */
export interface Typing {
  type: "typing";
  conversation_id: string;
  is_typing: boolean;
}

/** What a connection is opened with; it must begin within a minute. */
export interface RealtimeToken {
  token: string;
}

/** Frames the server sends. Others exist, and are nothing to a customer. */
export type Frame =
  | { type: "hello"; cursor: number; heartbeat_seconds: number; valid_seconds: number }
  | { type: "renewed"; valid_seconds: number }
  | { type: "bye"; code: number; reason: string; retry_ms: number }
  | { type: "event"; cursor: number; position?: string; event: CommittedEvent }
  | { type: "heartbeat"; cursor: number }
  | { type: "resync"; cursor: number; position?: string }
  | {
      type: "ephemeral";
      conversation_id: string;
      name: "typing";
      who: "agent" | "customer" | "assistant";
      author_name: string;
      is_typing: boolean;
    }
  | {
      type: "ephemeral";
      conversation_id: string;
      name: "draft";
      message_id: string;
      turn: number;
      text: string;
      done: boolean;
    };
