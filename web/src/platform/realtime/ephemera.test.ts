import { expect, it } from "vitest";
import { type Activities, applyEphemeral, expire, settle, TYPING_SHOWN_MS } from "./ephemera";
import type { ConversationEvent, Draft, Typing } from "./frames";

const typing: Typing = { type: "ephemeral", conversation_id: "a", name: "typing", who: "customer", author_name: "Amara", is_typing: true };
const draft: Draft = { type: "ephemeral", conversation_id: "a", name: "draft", message_id: "m1", turn: 3, text: "Parcels", done: false };

function appended(author: string, status = "pending"): ConversationEvent {
  return { type: "message_appended", conversation: { id: "a", status }, message: { author } } as unknown as ConversationEvent;
}

it("shows who types until they stop, write, or fall silent", () => {
  const started = applyEphemeral({}, typing, 1000);
  expect(started["a"]?.typing).toHaveProperty(["customer:Amara"]);
  expect(applyEphemeral(started, { ...typing, is_typing: false }, 1001)["a"]?.typing).toEqual({});
  expect(settle(started, appended("customer"))["a"]?.typing).toEqual({});
  expect(expire(started, 1000 + TYPING_SHOWN_MS - 1)).toBe(started);
  expect(expire(started, 1000 + TYPING_SHOWN_MS)["a"]?.typing).toEqual({});
});

it("grows the draft, and its message replaces it for good", () => {
  const begun = applyEphemeral({}, draft, 0);
  const grown = applyEphemeral(begun, { ...draft, text: "Parcels to Norway" }, 0);
  expect(grown["a"]?.draft?.text).toBe("Parcels to Norway");
  const written = settle(grown, appended("assistant"));
  expect(written["a"]?.draft).toBeNull();
  expect(applyEphemeral(written, draft, 0)["a"]?.draft).toBeNull();
});

it("ends the draft when a person takes over, and takes no late piece of it", () => {
  const taken = settle(applyEphemeral({}, draft, 0), appended("system", "open"));
  expect(taken["a"]?.draft).toBeNull();
  expect(applyEphemeral(taken, { ...draft, text: "Parcels to" }, 0)["a"]?.draft).toBeNull();
});

it("keeps the draft of the newer turn", () => {
  const newer = applyEphemeral({}, { ...draft, turn: 4, message_id: "m2" }, 0);
  const state: Activities = applyEphemeral(newer, draft, 0);
  expect(state["a"]?.draft?.message_id).toBe("m2");
});
