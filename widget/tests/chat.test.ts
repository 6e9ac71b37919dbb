import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Chat } from "../src/chat";
import { appended, around, message, Server, settle, Wire } from "./examples";

let server: Server;
let chat: Chat;

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  Wire.all = [];
  server = new Server();
  chat = new Chat(around(server));
});
afterEach(() => void vi.useRealTimers());

const texts = () => chat.store.state().messages.map((item) => item.text);
const deliveries = () => chat.store.state().outbox.map((item) => item.delivery);

async function begin(): Promise<void> {
  chat.send("hello");
  await settle();
  Wire.last.hello();
}

describe("writing", () => {
  it("begins the conversation with the first message and nothing before it", async () => {
    chat.open();
    await settle();
    expect(server.started.size).toBe(0);
    await begin();
    expect(texts()).toEqual(["hello"]);
    expect(chat.store.state().connection).toBe("live");
  });

  it("keeps the order of what is written quickly", async () => {
    for (const text of ["one", "two", "three"]) chat.send(text);
    await settle();
    expect(server.messages.map((item) => item.text)).toEqual(["one", "two", "three"]);
    expect(chat.store.state().outbox).toEqual([]);
  });

  it("waits out a server that is down, and sends once", async () => {
    await begin();
    server.isDown = true;
    chat.send("are you there?");
    await settle();
    expect(deliveries()).toEqual(["waiting"]);
    await vi.advanceTimersByTimeAsync(5_000);
    server.isDown = false;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(server.messages.map((item) => item.text)).toEqual(["hello", "are you there?"]);
    expect(deliveries()).toEqual([]);
  });

  it("repeats with the same key when the answer was lost, so that nothing is doubled", async () => {
    server.losesAnswers = 2;
    chat.send("hello");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(server.started.size).toBe(1);
    expect(server.messages).toHaveLength(1);
    expect(texts()).toEqual(["hello"]);
  });

  it("offers a refused message again", async () => {
    await begin();
    const { post } = server.api;
    server.api.post = async () => ({ ok: false, failure: { kind: "refused", reason: "Too long." } });
    chat.send("x");
    await settle();
    expect(chat.store.state().outbox[0]).toMatchObject({ delivery: "failed", reason: "Too long." });
    server.api.post = post;
    chat.retry(chat.store.state().outbox[0]?.key ?? "");
    await settle();
    expect(texts()).toEqual(["hello", "x"]);
  });

  it("tells the other side that the customer types, not at every key", async () => {
    await begin();
    chat.type(true);
    chat.type(true);
    await vi.advanceTimersByTimeAsync(3_000);
    chat.type(true);
    chat.type(false);
    const frames = Wire.last.sent as { type: string; is_typing: boolean }[];
    const typing = frames.filter(({ type }) => type === "typing").map((frame) => frame.is_typing);
    expect(typing).toEqual([true, true, false]);
  });
});

describe("a reload", () => {
  it("continues the conversation, and sends what was not sent", async () => {
    await begin();
    server.isDown = true;
    chat.send("unsent");
    await settle();
    server.isDown = false;
    server.append("agent", "answer meanwhile");
    chat = new Chat(around(server));
    chat.resume();
    await settle();
    expect(texts()).toEqual(["hello", "answer meanwhile", "unsent"]);
    expect(new URL(Wire.last.url).searchParams.get("cursor")).toBe("2");
  });

  it("keeps trying while the server restarts", async () => {
    await begin();
    server.isDown = true;
    chat = new Chat(around(server));
    chat.resume();
    await vi.advanceTimersByTimeAsync(4_000);
    expect(texts()).toEqual([]);
    server.isDown = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(texts()).toEqual(["hello"]);
  });

  it("begins anew where the server has forgotten the token, and loses no words", async () => {
    await begin();
    server.token = "token-2";
    server.messages = [];
    chat = new Chat(around(server));
    chat.resume();
    await settle();
    chat.send("hello again");
    await settle();
    expect(texts()).toEqual(["hello again"]);
  });
});

describe("the socket", () => {
  it("resumes after a cut from where it was", async () => {
    await begin();
    Wire.last.says(appended(7, message(2, "agent", "hi")));
    Wire.last.breaks();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(Wire.all).toHaveLength(2);
    expect(new URL(Wire.last.url).searchParams.get("cursor")).toBe("7");
    Wire.last.hello();
    Wire.last.says(appended(8, message(3, "agent", "more")));
    expect(texts()).toEqual(["hello", "hi", "more"]);
  });

  it("is replaced by asking while it cannot be had", async () => {
    await begin();
    Wire.last.breaks();
    server.append("agent", "by asking");
    await vi.advanceTimersByTimeAsync(4_000);
    expect(texts()).toEqual(["hello", "by asking"]);
  });

  it("fetches what the server cannot replay, and keeps what comes meanwhile", async () => {
    await begin();
    server.append("agent", "missed");
    server.cursor = 50;
    Wire.last.says({ type: "resync", cursor: 50 });
    Wire.last.says(appended(51, message(3, "agent", "meanwhile")));
    await settle();
    expect(texts()).toEqual(["hello", "missed", "meanwhile"]);
    expect(chat.store.state().cursor).toBe(51);
  });

  it("does not step over a gap that could not be fetched", async () => {
    await begin();
    server.append("agent", "missed");
    server.isDown = true;
    Wire.last.says({ type: "resync", cursor: 50 });
    Wire.last.says(appended(51, message(3, "agent", "meanwhile")));
    await settle();
    expect(chat.store.state().cursor).toBeLessThan(50);
    server.append("agent", "meanwhile");
    server.isDown = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(texts()).toEqual(["hello", "missed", "meanwhile"]);
  });

  it("lets drafts and typing fade when nothing follows", async () => {
    await begin();
    const about = { type: "ephemeral", conversation_id: "conversation" } as const;
    Wire.last.says({ ...about, name: "draft", message_id: "d", turn: 1, text: "You", done: false });
    Wire.last.says({ ...about, name: "typing", who: "agent", author_name: "Ana", is_typing: true });
    expect(chat.store.state()).toMatchObject({ draft: { text: "You" }, typingName: "Ana" });
    await vi.advanceTimersByTimeAsync(15_000);
    expect(chat.store.state()).toMatchObject({ draft: null, typingName: null });
  });

  it("removes a draft that the assistant takes back", async () => {
    await begin();
    const draft = { type: "ephemeral", conversation_id: "conversation", name: "draft", message_id: "d", turn: 1 } as const;
    Wire.last.says({ ...draft, text: "You", done: false });
    Wire.last.says({ ...draft, text: "", done: true });
    expect(chat.store.state().draft).toBeNull();
  });
});

describe("a page that nobody sees", () => {
  const hide = 31_000;

  it("lets its connection go after a while, and comes back with its cursor", async () => {
    await begin();
    chat.hidden();
    await vi.advanceTimersByTimeAsync(20_000);
    Wire.last.says({ type: "heartbeat", cursor: 1 });
    await vi.advanceTimersByTimeAsync(hide - 20_000);
    expect(Wire.last.readyState).toBe(3);
    expect(chat.store.state().connection).toBe("asleep");
    server.append("agent", "while asleep");
    await vi.advanceTimersByTimeAsync(120_000);
    expect(Wire.all).toHaveLength(1);
    expect(texts()).toEqual(["hello"]);
    chat.hurry();
    await settle();
    expect(new URL(Wire.last.url).searchParams.get("cursor")).toBe("1");
    Wire.last.hello();
    Wire.last.says(appended(2, message(2, "agent", "while asleep")));
    expect(texts()).toEqual(["hello", "while asleep"]);
    expect(chat.store.state().connection).toBe("live");
  });

  it("stays awake for who looks away only for a moment", async () => {
    await begin();
    chat.hidden();
    await vi.advanceTimersByTimeAsync(20_000);
    Wire.last.says({ type: "heartbeat", cursor: 1 });
    chat.hurry();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(chat.store.state().connection).toBe("live");
    expect(Wire.all).toHaveLength(1);
  });

  it("doesn't sleep before everything written is sent", async () => {
    await begin();
    server.isDown = true;
    chat.send("still to go");
    chat.hidden();
    await vi.advanceTimersByTimeAsync(hide);
    expect(chat.store.state().connection).not.toBe("asleep");
    server.isDown = false;
    await vi.advanceTimersByTimeAsync(2 * hide);
    expect(server.messages.map((item) => item.text)).toEqual(["hello", "still to go"]);
    expect(chat.store.state().connection).toBe("asleep");
  });
});
