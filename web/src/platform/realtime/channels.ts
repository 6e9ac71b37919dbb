import { useEffect } from "react";
import { createStore } from "@/platform/store";

/** What the parts of this page follow beside the organization, and how many of them do. */
const counts = new Map<string, number>();

export const channels = createStore<readonly string[]>([]);

export function conversationChannel(id: string): string {
  return `conversation:${id}`;
}

/** Follow a channel for as long as the component is on a screen that somebody can see. */
export function useChannel(channel: string): void {
  useEffect(() => {
    let isFollowed = false;
    const follow = (isWanted: boolean) => {
      if (isWanted !== isFollowed) count(channel, isWanted ? 1 : -1);
      isFollowed = isWanted;
    };
    const look = () => follow(document.visibilityState === "visible");
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      follow(false);
    };
  }, [channel]);
}

function count(channel: string, by: number): void {
  const now = (counts.get(channel) ?? 0) + by;
  if (now > 0) counts.set(channel, now);
  else counts.delete(channel);
  channels.set([...counts.keys()]);
}
