import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import type { Inbox } from "@/platform/api/types";
import { notifyDone, notifyFailed } from "@/ui/notify";
import { putInbox } from "./events";

export type Settings = Pick<Inbox, "name" | "greeting" | "is_assistant_enabled">;

export function useCreateInbox(onCreated?: (inbox: Inbox) => void) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (settings: Settings) => unwrap(api.POST("/api/v1/inboxes", { body: { ...settings, channel: "web_widget" } })),
    onSuccess: (inbox) => {
      putInbox(cache, inbox);
      onCreated?.(inbox);
    },
    onError: (error) => notifyFailed("The inbox was not created", error),
  });
}

export function useChangeInbox(id: string, onChanged?: () => void) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (settings: Settings) => unwrap(api.PATCH("/api/v1/inboxes/{inbox_id}", { params: { path: { inbox_id: id } }, body: settings })),
    onSuccess: (inbox) => {
      putInbox(cache, inbox);
      notifyDone("Saved.");
      onChanged?.();
    },
    onError: (error) => notifyFailed("The inbox was not changed", error),
  });
}
