import { useEffect } from "react";
import type { Message } from "@/platform/api/types";
import { createStore, useStore } from "@/platform/store";

/** A message that somebody came to see: its thread scrolls to it once it is there. */
export const spotlight = createStore<{ conversationId: string; seq: number } | null>(null);

/** Older pages are fetched on the way to a message; beyond so many the thread stays at its end. */
const FARTHEST_PAGES = 20;

interface Pages {
  count: number;
  isFetching: boolean;
  fetchOlder: (() => void) | null;
}

/** Scroll a thread to the message in the spotlight, fetching what lies between. */
export function useSpotlight(conversationId: string, messages: readonly Message[], pages: Pages): void {
  const wanted = useStore(spotlight);
  const seq = wanted?.conversationId === conversationId ? wanted.seq : null;
  const isThere = seq !== null && messages.some((message) => message.seq === seq);
  const { count, isFetching, fetchOlder } = pages;
  useEffect(() => {
    if (seq === null) return;
    if (isThere) {
      const element = document.querySelector<HTMLElement>(`article[data-seq="${seq}"]`);
      element?.scrollIntoView({ block: "center" });
      element?.animate?.([{ background: "var(--dana-mark)" }, { background: "transparent" }], { duration: 1800 });
      spotlight.set(null);
    } else if (fetchOlder && count < FARTHEST_PAGES) {
      if (!isFetching) fetchOlder();
    } else spotlight.set(null);
  }, [seq, isThere, count, isFetching, fetchOlder]);
}
