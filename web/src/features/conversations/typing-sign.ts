import { useEffect, useRef } from "react";
import { sayTyping } from "@/platform/realtime/live";

/** Repeated at most this often; the other side shows a sign for six seconds. */
const REPEAT_MS = 2_500;

/** Tell the customer that somebody is typing, sparingly, and that it stopped. */
export function useTypingSign(conversationId: string): (isTyping: boolean) => void {
  const saidAt = useRef(0);
  const say = (isTyping: boolean) => {
    const now = Date.now();
    if (isTyping && now - saidAt.current < REPEAT_MS) return;
    if (!isTyping && saidAt.current === 0) return;
    saidAt.current = isTyping ? now : 0;
    sayTyping(conversationId, isTyping);
  };
  useEffect(
    () => () => {
      if (saidAt.current > 0) sayTyping(conversationId, false);
    },
    [conversationId],
  );
  return say;
}
