import { useHotkeys } from "@mantine/hooks";
import type { Conversation } from "@/platform/api/types";

export const SHORTCUTS: readonly { keys: string; does: string }[] = [
  { keys: "J", does: "Next conversation" },
  { keys: "K", does: "Previous conversation" },
  { keys: "/", does: "Search conversations" },
  { keys: "Enter", does: "Open the conversation in focus" },
  { keys: "R", does: "Write a reply" },
  { keys: "N", does: "Write a private note" },
  { keys: "T", does: "Take over" },
  { keys: "E", does: "Resolve or reopen" },
  { keys: "?", does: "Show these keys" },
];

/** j and k walk through the list: the focus moves, and an open conversation changes with it. */
export function useListKeys(conversations: readonly Conversation[], selectedId: string | null, onOpen: (id: string) => void): void {
  const move = (by: number) => {
    const focused = (document.activeElement as HTMLElement | null)?.dataset["conversation"];
    const at = conversations.findIndex(({ id }) => id === (focused ?? selectedId));
    const next = conversations[at < 0 ? 0 : Math.min(Math.max(at + by, 0), conversations.length - 1)];
    if (!next) return;
    document.querySelector<HTMLElement>(`[data-conversation="${next.id}"]`)?.focus();
    if (selectedId) onOpen(next.id);
  };
  useHotkeys([["j", () => move(1)], ["k", () => move(-1)]]);
}
