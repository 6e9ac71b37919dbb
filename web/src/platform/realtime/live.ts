import type { QueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { keepPosition } from "@/platform/api/position";
import { accessToken } from "@/platform/session/refresh";
import { useStore } from "@/platform/store";
import { Connection, type LinkState } from "./connection";
import { activities, applyEphemeral, expire, settle } from "./ephemera";
import type { DanaEvent } from "./frames";
import { Replay } from "./replay";

/** Each feature gives one: it brings the cached answers of the API up to date with an event. */
export type ApplyEvent = (cache: QueryClient, event: DanaEvent) => void;

const SWEEP_MS = 1_000;

let connection: Connection | null = null;

/** Keep the socket open while the shell is mounted, and feed every event to every feature. */
export function useLiveCache(cache: QueryClient, cursor: number, reducers: readonly ApplyEvent[]): Connection {
  const [replay] = useState(() => new Replay(cache, reducers));
  const [mine] = useState(() => connect(cache, cursor, replay));
  useEffect(() => replay.watch(), [replay]);
  useEffect(() => mine.state.subscribe(() => mine.state.get() === "live" && retryFailed(cache)), [mine, cache]);
  useEffect(() => {
    const online = () => mine.retryNow();
    const offline = () => mine.wentOffline();
    const sweep = setInterval(() => activities.set((before) => expire(before, Date.now())), SWEEP_MS);
    connection = mine;
    mine.start();
    window.addEventListener("online", online);
    window.addEventListener("offline", offline);
    return () => {
      mine.stop();
      connection = null;
      clearInterval(sweep);
      window.removeEventListener("online", online);
      window.removeEventListener("offline", offline);
    };
  }, [mine]);
  return mine;
}

export function useLinkState(of: Connection): LinkState {
  return useStore(of.state);
}

/** Tell the others that this person is typing, or has stopped; lost without harm when not connected. */
export function sayTyping(conversationId: string, isTyping: boolean): void {
  connection?.send({ type: "typing", conversation_id: conversationId, is_typing: isTyping });
}

/** What failed while the server was away is asked again as soon as it is back. */
function retryFailed(cache: QueryClient): void {
  void cache.refetchQueries({ type: "active", predicate: ({ state }) => state.status === "error" });
}

function connect(cache: QueryClient, cursor: number, replay: Replay): Connection {
  const link = {
    open: (url: string) => new WebSocket(new URL(url, window.location.href.replace(/^http/, "ws"))),
    token: accessToken,
    onPosition: keepPosition,
    onEvent(event: DanaEvent) {
      replay.apply(event);
      activities.set((before) => settle(before, event));
    },
    onEphemeral: (frame: Parameters<typeof applyEphemeral>[1]) =>
      activities.set((before) => applyEphemeral(before, frame, Date.now())),
    onResync: () => void cache.invalidateQueries(),
    isOnline: () => navigator.onLine,
  };
  return new Connection(link, cursor);
}
