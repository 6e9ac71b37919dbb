import { describe, expect, it } from "vitest";
import { apply, type Change, emptyState, type State, unreadCount, visibleOutbox } from "../src/state";
import { message, pending } from "./examples";

function after(...changes: Change[]): State {
  return changes.reduce(apply, emptyState());
}

const texts = (state: State) => state.messages.map((item) => item.text);

describe("messages", () => {
  it("stand in the order of their seq, however they arrive, and once", () => {
    const state = after(
      { type: "event", cursor: 5, event: { type: "message_appended", message: message(3, "agent") } },
      { type: "page", items: [message(1, "customer"), message(2, "assistant")], cursor: 4, standing: pending },
      { type: "event", cursor: 5, event: { type: "message_appended", message: message(3, "agent") } },
    );
    expect(texts(state)).toEqual(["text 1", "text 2", "text 3"]);
  });

  it("from events equal messages from a fetch", () => {
    const items = [message(1, "customer"), message(2, "assistant"), message(3, "system")];
    const byEvents = after(
      ...items.map((item, index): Change => ({
        type: "event",
        cursor: index + 1,
        event: { type: "message_appended", message: item, conversation: pending },
      })),
    );
    const byFetch = after({ type: "page", items, cursor: 3, standing: pending });
    expect(byEvents).toEqual(byFetch);
  });

  it("that were posted do not hide a gap before them", () => {
    const state = after(
      { type: "page", items: [message(1, "customer")], cursor: 1, standing: pending },
      { type: "queued", key: "k", text: "text 4" },
      { type: "sent", key: "k", message: message(4, "customer") },
    );
    expect(state.syncedSeq).toBe(1);
  });

  it("of an older page leave the newer standing alone", () => {
    const open = { status: "open", assignee_name: "Ana" } as const;
    const state = after(
      { type: "event", cursor: 9, event: { type: "conversation_taken_over", conversation: open } },
      { type: "page", items: [message(1, "customer")], cursor: 7, standing: pending },
    );
    expect(state.standing).toEqual(open);
    expect(state.cursor).toBe(9);
  });
});

describe("unread", () => {
  it("counts what the other side wrote and the customer has not seen", () => {
    const items = [message(1, "customer"), message(2, "assistant"), message(3, "system"), message(4, "agent")];
    const state = after({ type: "page", items, cursor: 4, standing: pending });
    expect(unreadCount(state)).toBe(2);
    expect(unreadCount(apply(state, { type: "seen" }))).toBe(0);
  });
});

describe("an outgoing message", () => {
  it("is not shown beside its own echo", () => {
    const sending = after(
      { type: "queued", key: "k", text: "hi" },
      { type: "delivery", key: "k", delivery: "sending" },
      { type: "event", cursor: 1, event: { type: "message_appended", message: message(1, "customer", "hi") } },
    );
    expect(visibleOutbox(sending)).toEqual([]);
    expect(sending.outbox).toHaveLength(1);
    const sent = apply(sending, { type: "sent", key: "k", message: message(1, "customer", "hi") });
    expect(sent.outbox).toEqual([]);
    expect(texts(sent)).toEqual(["hi"]);
  });

  it("with the words of an earlier one is shown", () => {
    const state = after(
      { type: "page", items: [message(1, "customer", "yes")], cursor: 1, standing: pending },
      { type: "queued", key: "k", text: "yes" },
      { type: "delivery", key: "k", delivery: "sending" },
    );
    expect(visibleOutbox(state)).toHaveLength(1);
  });
});

describe("a draft", () => {
  const draft = (turn: number, text: string): Change => ({
    type: "draft",
    draft: { messageId: `draft-${turn}`, turn, text, name: "" },
  });

  it("grows, and gives way to the message it becomes", () => {
    const growing = after(draft(1, "You can"), draft(1, "You can return"));
    expect(growing.draft?.text).toBe("You can return");
    const done = apply(growing, {
      type: "event",
      cursor: 1,
      event: { type: "message_appended", message: { ...message(2, "assistant"), id: "draft-1" } },
    });
    expect(done.draft).toBeNull();
    expect(apply(done, draft(1, "You can return it")).draft).toBeNull();
  });

  it("of an older turn is no news", () => {
    expect(after(draft(2, "new"), draft(1, "old")).draft?.text).toBe("new");
  });

  it("ends when a person takes over", () => {
    const state = after(draft(1, "I think"), {
      type: "event",
      cursor: 1,
      event: { type: "message_appended", message: message(2, "agent") },
    });
    expect(state.draft).toBeNull();
  });

  it("is ignored while a person is on duty", () => {
    const state = after(
      { type: "page", items: [], cursor: 1, standing: { status: "open", assignee_name: "Ana" } },
      draft(3, "late"),
    );
    expect(state.draft).toBeNull();
  });
});
