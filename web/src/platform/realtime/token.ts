import { api, unwrap } from "@/platform/api/client";
import { accessToken } from "@/platform/session/refresh";

/** Get a token for real time. It opens a connection that may live as long as the session's token, at least so long. */
export async function realtimeToken(leastMs: number): Promise<string> {
  await accessToken(leastMs);
  return (await unwrap(api.POST("/api/v1/realtime/token"))).token;
}

/** Say by a request that somebody types, where the connection can't carry it. */
export function postTyping(conversationId: string, isTyping: boolean): void {
  const body = { conversation_id: conversationId, is_typing: isTyping };
  // Lost without harm.
  unwrap(api.POST("/api/v1/realtime/typing", { body })).catch(() => undefined);
}
