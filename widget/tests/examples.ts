/** Messages, pages and a scripted server for the tests. */

import { vi } from "vitest";
import type { Answer, Api } from "../src/api";
import { createMemory, type Memory } from "../src/memory";
import type { Surroundings } from "../src/session";
import type { Frame, Message, Page, Standing, Typing } from "../src/wire";

export const pending: Standing = { status: "pending", assignee_name: null };

export function message(seq: number, author: Message["author"], text = `text ${seq}`): Message {
  return {
    id: `message-${seq}`,
    seq,
    author,
    author_name: author === "agent" ? "Ana" : "",
    text,
    created_at: "2026-01-01T10:00:00Z",
  };
}

export function page(items: Message[], cursor: number, standing: Standing = pending): Page {
  return { items, next_cursor: null, cursor, conversation: standing };
}

export function appended(cursor: number, item: Message, standing: Standing = pending): Frame {
  return { type: "event", cursor, event: { type: "message_appended", message: item, conversation: standing } };
}

export function ok<T>(value: T): Answer<T> {
  return { ok: true, value };
}

export const later: Answer<never> = { ok: false, failure: { kind: "later", afterSeconds: 0 } };
export const unknown: Answer<never> = { ok: false, failure: { kind: "unknown" } };

/** A WebSocket, or an EventSource, whose other end is the test. */
export class Wire {
  static all: Wire[] = [];
  readyState = 1;
  sent: unknown[] = [];
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(readonly url: string) {
    Wire.all.push(this);
  }

  static get last(): Wire {
    const wire = Wire.all.at(-1);
    if (!wire) throw new Error("no socket was opened");
    return wire;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.readyState = 3;
  }

  says(frame: Frame): void {
    this.onmessage?.({ data: JSON.stringify(frame) } as MessageEvent);
  }

  hello(cursor = 0): void {
    this.says({ type: "hello", cursor, heartbeat_seconds: 10, valid_seconds: 3600 });
  }

  breaks(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code } as CloseEvent);
    this.onerror?.();
  }
}

/** A server that stores messages once per key, as the real one does, and can be told to fail. */
export class Server {
  messages: Message[] = [];
  keys = new Map<string, Message>();
  isDown = false;
  losesAnswers = 0;
  token = "token-1";
  started = new Set<string>();
  tokens = 0;
  typed: Typing[] = [];
  cursor = 0;

  readonly api: Api = {
    inbox: async () => (this.isDown ? later : ok({ name: "Shop", greeting: "Hello!", is_assistant_enabled: true })),
    start: async (_visitor, key) => {
      if (this.isDown) return later;
      this.started.add(key);
      if (this.loses()) return later;
      return ok({ conversation_id: "conversation", token: this.token, cursor: this.cursor, conversation: pending });
    },
    post: async (_id, token, text, key) => {
      if (this.isDown) return later;
      if (token !== this.token) return unknown;
      const stored = this.keys.get(key) ?? this.append("customer", text);
      this.keys.set(key, stored);
      return this.loses() ? later : ok(stored);
    },
    page: async (_id, token, after) => {
      if (this.isDown) return later;
      if (token !== this.token) return unknown;
      return ok(page(this.messages.filter((item) => item.seq > after), this.cursor));
    },
    realtimeToken: async (token) => {
      if (this.isDown) return later;
      return token === this.token ? ok({ token: `realtime-${++this.tokens}` }) : unknown;
    },
    typing: (_token, typing) => void this.typed.push(typing),
  };

  append(author: Message["author"], text: string): Message {
    const item = message(this.messages.length + 1, author, text);
    this.messages.push(item);
    this.cursor += 1;
    return item;
  }

  private loses(): boolean {
    this.losesAnswers -= 1;
    return this.losesAnswers >= 0;
  }
}

export function around(server: Server, memory: Memory = createMemory(localStorage, "key")): Surroundings {
  return {
    api: server.api,
    memory,
    visitor: {},
    realtimeUrl: "http://host/api/v1/realtime",
    openSocket: (url) => new Wire(url) as unknown as WebSocket,
    openStream: (url) => new Wire(url) as unknown as EventSource,
    random: () => 0,
    alone: (task) => task(),
  };
}

/** Let promises settle without time passing. */
export async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}
