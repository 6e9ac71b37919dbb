import { expect, it } from "vitest";
import type { Message } from "@/platform/api/types";
import { notYetShown, type Outgoing } from "./outbox";

const ME = "maya";

function outgoing(key: string, text: string, afterSeq = 4): Outgoing {
  return { key, conversationId: "a", text, isPrivate: false, afterSeq, writtenAt: "2026-01-01T00:00:00Z", state: "sending", error: null };
}

function written(seq: number, text: string, part: Partial<Message> = {}): Message {
  return {
    id: `m${seq}`,
    conversation_id: "a",
    seq,
    author: "agent",
    author_id: ME,
    author_name: "Maya",
    text,
    is_private: false,
    created_at: "2026-01-01T00:00:00Z",
    action: null,
    citations: [],
    ...part,
  };
}

it("shows a message once, when the socket is faster than the answer", () => {
  expect(notYetShown([outgoing("1", "Hello")], [written(5, "Hello")], ME)).toEqual([]);
});

it("still shows it when an older message says the same", () => {
  expect(notYetShown([outgoing("1", "Hello")], [written(4, "Hello")], ME)).toHaveLength(1);
});

it("still shows it when a colleague, or a private note, says the same", () => {
  const others = [written(5, "Hello", { author_id: "ben" }), written(6, "Hello", { is_private: true })];
  expect(notYetShown([outgoing("1", "Hello")], others, ME)).toHaveLength(1);
});

it("keeps the second of two equal messages while only one has arrived", () => {
  const both = [outgoing("1", "ok"), outgoing("2", "ok")];
  expect(notYetShown(both, [written(5, "ok")], ME).map(({ key }) => key)).toEqual(["2"]);
});
