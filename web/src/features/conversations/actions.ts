import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import type { Conversation } from "@/platform/api/types";
import { notifyFailed } from "@/ui/notify";
import { putConversation } from "./events";

export type Act =
  | { verb: "take-over" | "resolve" | "reopen" | "read" }
  | { verb: "assign"; assigneeId: string | null }
  | { verb: "snooze"; until: Date };

const WORDS: Record<Act["verb"], string> = {
  "take-over": "The conversation was not taken over",
  resolve: "The conversation was not resolved",
  reopen: "The conversation was not reopened",
  read: "The conversation was not marked as read",
  assign: "The conversation was not assigned",
  snooze: "The conversation was not snoozed",
};

/** What an agent does with one conversation. The answer carries its new state, so nothing waits for the socket. */
export function useAct(id: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (act: Act) => perform(id, act),
    onSuccess: (conversation) => putConversation(cache, conversation),
    onError: (error, act) => act.verb !== "read" && notifyFailed(WORDS[act.verb], error),
  });
}

function perform(id: string, act: Act): Promise<Conversation> {
  const params = { path: { conversation_id: id } };
  switch (act.verb) {
    case "assign":
      return unwrap(api.POST("/api/v1/conversations/{conversation_id}/assign", { params, body: { assignee_id: act.assigneeId } }));
    case "snooze":
      return unwrap(api.POST("/api/v1/conversations/{conversation_id}/snooze", { params, body: { until: act.until.toISOString() } }));
    case "take-over":
      return unwrap(api.POST("/api/v1/conversations/{conversation_id}/take-over", { params }));
    case "resolve":
      return unwrap(api.POST("/api/v1/conversations/{conversation_id}/resolve", { params }));
    case "reopen":
      return unwrap(api.POST("/api/v1/conversations/{conversation_id}/reopen", { params }));
    case "read":
      return unwrap(api.POST("/api/v1/conversations/{conversation_id}/read", { params }));
  }
}
