import { authorized } from "@/platform/api/client";
import { Problem } from "@/platform/api/problem";
import { accessToken } from "@/platform/session/refresh";

/** Get a token for real time. It opens a connection that may live as long as the session's token, at least so long. */
export async function realtimeToken(leastMs: number): Promise<string> {
  await accessToken(leastMs);
  const response = await authorized(new Request("/api/v1/realtime/token", { method: "POST" }));
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new Problem(response.status, body, response.headers.get("retry-after"));
  return (body as { token: string }).token;
}

/** Say by a request that somebody types, where the connection can't carry it. */
export function postTyping(conversationId: string, isTyping: boolean): void {
  const body = JSON.stringify({ conversation_id: conversationId, is_typing: isTyping });
  const headers = { "content-type": "application/json" };
  // Lost without harm.
  authorized(new Request("/api/v1/realtime/typing", { method: "POST", body, headers })).catch(() => undefined);
}
