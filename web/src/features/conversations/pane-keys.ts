import { useHotkeys } from "@mantine/hooks";
import { type RefObject, useRef } from "react";
import type { Conversation } from "@/platform/api/types";
import type { Act } from "./actions";
import type { ComposerMode } from "./composer";

/** r, n, t and e act on the open conversation. Returns the ref of the box to write in. */
export function usePaneKeys(
  conversation: Conversation,
  act: (act: Act) => void,
  onMode: (mode: ComposerMode) => void,
): RefObject<HTMLTextAreaElement | null> {
  const input = useRef<HTMLTextAreaElement>(null);
  const write = (mode: ComposerMode) => {
    onMode(mode);
    input.current?.focus();
  };
  const { status } = conversation;
  useHotkeys([
    ["r", () => write("reply")],
    ["n", () => write("note")],
    ["t", () => status === "pending" && act({ verb: "take-over" })],
    ["e", () => act({ verb: status === "resolved" ? "reopen" : "resolve" })],
  ]);
  return input;
}
