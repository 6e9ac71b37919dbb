import type { QueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import { explain, Problem } from "@/platform/api/problem";
import type { Message } from "@/platform/api/types";
import { backoffMs } from "@/platform/realtime/backoff";
import { createStore } from "@/platform/store";
import { putMessage } from "./events";

/** A message written here that the server hasn't confirmed. Its key makes sending it again harmless. */
export interface Outgoing {
  key: string;
  conversationId: string;
  text: string;
  isPrivate: boolean;
  /** The last message known when it was written. */
  afterSeq: number;
  writtenAt: string;
  state: "sending" | "waiting" | "failed";
  error: string | null;
}

const STORED = "dana-outbox";

/** Kept through a reload of the tab, so that nothing written is lost. */
export const outbox = createStore<readonly Outgoing[]>(restore());
const sending = new Set<string>();

export function send(cache: QueryClient, message: Pick<Outgoing, "conversationId" | "text" | "isPrivate" | "afterSeq">): void {
  const written = { ...message, key: crypto.randomUUID(), writtenAt: new Date().toISOString(), error: null };
  change((before) => [...before, { ...written, state: "sending" }]);
  void drain(cache, message.conversationId);
}

export function sendAgain(cache: QueryClient, outgoing: Outgoing): void {
  mark(outgoing.key, "sending", null);
  void drain(cache, outgoing.conversationId);
}

export function discard(key: string): void {
  change((before) => before.filter((outgoing) => outgoing.key !== key));
}

/** Send what an earlier visit of this tab left behind. */
export function resumeOutbox(cache: QueryClient): void {
  for (const id of new Set(outbox.get().map(({ conversationId }) => conversationId))) void drain(cache, id);
}

/** Leave out what the server has already told us about by the socket, ahead of its answer: pure. */
export function notYetShown(outgoing: readonly Outgoing[], messages: readonly Message[], myId: string): Outgoing[] {
  const used = new Set<string>();
  return outgoing.filter(({ text, isPrivate, afterSeq }) => {
    const twin = messages.findLast(
      (message) =>
        message.seq > afterSeq &&
        message.author_id === myId &&
        message.text === text.trim() &&
        message.is_private === isPrivate &&
        !used.has(message.id),
    );
    if (twin) used.add(twin.id);
    return !twin;
  });
}

/** Send one conversation's messages in the order they were written; one that can't pass holds the later ones. */
async function drain(cache: QueryClient, conversationId: string): Promise<void> {
  if (sending.has(conversationId)) return;
  sending.add(conversationId);
  try {
    for (let attempt = 0; ; ) {
      const next = outbox.get().find((one) => one.conversationId === conversationId && one.state !== "failed");
      if (!next) return;
      const waitMs = await deliver(cache, next, attempt);
      attempt = waitMs === null ? 0 : attempt + 1;
      if (waitMs !== null) await new Promise((wake) => setTimeout(wake, waitMs));
    }
  } finally {
    sending.delete(conversationId);
  }
}

/** Send one; null when it is settled, otherwise how long to wait before the next attempt. */
async function deliver(cache: QueryClient, outgoing: Outgoing, attempt: number): Promise<number | null> {
  try {
    putMessage(cache, await post(outgoing));
    discard(outgoing.key);
  } catch (error) {
    if (error instanceof Problem && error.isPassing) {
      mark(outgoing.key, "waiting", null);
      return (error.retryAfterSeconds ?? 0) * 1000 || backoffMs(attempt);
    }
    mark(outgoing.key, "failed", explain(error));
  }
  return null;
}

function post(outgoing: Outgoing): Promise<Message> {
  return unwrap(
    api.POST("/api/v1/conversations/{conversation_id}/messages", {
      params: { path: { conversation_id: outgoing.conversationId }, header: { "Idempotency-Key": outgoing.key } },
      body: { text: outgoing.text, is_private: outgoing.isPrivate },
    }),
  );
}

function mark(key: string, state: Outgoing["state"], error: string | null): void {
  change((before) => before.map((one) => (one.key === key ? { ...one, state, error } : one)));
}

function change(edit: (before: readonly Outgoing[]) => readonly Outgoing[]): void {
  outbox.set(edit);
  try {
    sessionStorage.setItem(STORED, JSON.stringify(outbox.get()));
  } catch {
    // A full or forbidden storage only costs the safety net for reloads.
  }
}

function restore(): readonly Outgoing[] {
  try {
    return JSON.parse(sessionStorage.getItem(STORED) ?? "[]") as Outgoing[];
  } catch {
    return [];
  }
}
