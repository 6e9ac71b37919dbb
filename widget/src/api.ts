/** The widget's requests. Every failure is one of three: it will never work, it may work later, or we are unknown. */

import type { Memory } from "./memory";
import type { Inbox, Message, Page, RealtimeToken, Started, Typing } from "./wire";

const TIMEOUT_MS = 15_000;
const POSITION = "Dana-Position";
/** Sent by who carries positions and has none yet. */
const ANYTHING = "any";

type Positions = Pick<Memory, "position" | "keepPosition">;

export type Failure =
  | { kind: "refused"; reason: string }
  | { kind: "later"; afterSeconds: number }
  | { kind: "unknown" };

export type Answer<T> = { ok: true; value: T } | { ok: false; failure: Failure };

export interface Visitor {
  name?: string;
  email?: string;
}

export interface Api {
  inbox(): Promise<Answer<Inbox>>;
  start(visitor: Visitor, key: string): Promise<Answer<Started>>;
  post(conversationId: string, token: string, text: string, key: string): Promise<Answer<Message>>;
  page(conversationId: string, token: string, after: number): Promise<Answer<Page>>;
  realtimeToken(token: string): Promise<Answer<RealtimeToken>>;
  /** Where no socket carries it; lost without harm. */
  typing(token: string, typing: Typing): void;
}

export function createApi(origin: string, publicKey: string, positions: Positions, fetcher: typeof fetch): Api {
  const base = `${origin}/api/v1/widget/`;
  const realtime = `${origin}/api/v1/realtime/`;
  const inboxPath = base + encodeURIComponent(publicKey);
  const messagesPath = (id: string) => `${base}conversations/${encodeURIComponent(id)}/messages`;
  return {
    inbox: () => ask<Inbox>(inboxPath, {}),
    start: (visitor, key) => ask<Started>(`${inboxPath}/conversations`, json(visitor, key, {})),
    post: (id, token, text, key) => ask<Message>(messagesPath(id), json({ text }, key, bearer(token))),
    page: (id, token, after) => ask<Page>(`${messagesPath(id)}?after=${after}&limit=100`, { headers: bearer(token) }),
    realtimeToken: (token) => ask<RealtimeToken>(`${realtime}token`, { method: "POST", headers: bearer(token) }),
    typing: (token, { conversation_id, is_typing }) =>
      void ask<null>(`${realtime}typing`, json({ conversation_id, is_typing }, null, bearer(token))),
  };

  async function ask<T>(url: string, request: RequestInit): Promise<Answer<T>> {
    try {
      const response = await fetcher(url, {
        ...request,
        headers: { ...request.headers, [POSITION]: positions.position() ?? ANYTHING },
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      positions.keepPosition(response.headers.get(POSITION));
      if (response.ok) return { ok: true, value: (response.status === 204 ? null : await response.json()) as T };
      return { ok: false, failure: await failureOf(response) };
    } catch {
      return { ok: false, failure: { kind: "later", afterSeconds: 0 } };
    }
  }
}

function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

function json(body: object, key: string | null, headers: Record<string, string>): RequestInit {
  return {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(key === null ? {} : { "Idempotency-Key": key }), ...headers },
    body: JSON.stringify(body),
  };
}

async function failureOf(response: Response): Promise<Failure> {
  const { status } = response;
  if (status === 401 || status === 403 || status === 404) return { kind: "unknown" };
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const seconds = Number(response.headers.get("Retry-After") ?? 0);
    return { kind: "later", afterSeconds: Number.isFinite(seconds) ? Math.min(seconds, 60) : 0 };
  }
  return { kind: "refused", reason: await detailOf(response) };
}

async function detailOf(response: Response): Promise<string> {
  try {
    const problem = (await response.json()) as { detail?: unknown };
    return typeof problem.detail === "string" ? problem.detail : "";
  } catch {
    return "";
  }
}
