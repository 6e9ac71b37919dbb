import type { QueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { keepPosition } from "@/platform/api/position";
import { currentSession } from "@/platform/session/session";
import { useStore } from "@/platform/store";
import { watchAttention } from "./attention";
import { channels } from "./channels";
import { Choice } from "./choice";
import { Connection, type LinkState } from "./connection";
import { activities, applyEphemeral, expire, settle } from "./ephemera";
import type { DanaEvent, News, Saying } from "./frames";
import type { LineEars } from "./leading";
import { browserNeighbours, tabId } from "./neighbours";
import { applyPresence, lists } from "./presence";
import { Replay } from "./replay";
import { Tab } from "./tab";
import { postTyping, realtimeToken } from "./token";
import { openWire } from "./wire";

/** Each feature gives one: it brings the cached answers of the API up to date with an event. */
export type ApplyEvent = (cache: QueryClient, event: DanaEvent) => void;

const SWEEP_MS = 1_000;

let tab: Tab | null = null;

/** Stay connected while the shell is mounted, and feed every event to every feature. */
export function useLiveCache(cache: QueryClient, cursor: number, reducers: readonly ApplyEvent[]): Tab {
  const [replay] = useState(() => new Replay(cache, reducers));
  const [mine] = useState(() => join(cache, cursor, replay));
  useEffect(() => replay.watch(), [replay]);
  useEffect(() => mine.state.subscribe(() => mine.state.get() === "live" && retryFailed(cache)), [mine, cache]);
  useEffect(() => {
    const online = () => mine.retryNow();
    const offline = () => mine.wentOffline();
    const sweep = setInterval(() => activities.set((before) => expire(before, Date.now())), SWEEP_MS);
    const follow = () => mine.follow(channels.get());
    tab = mine;
    follow();
    const stopFollowing = channels.subscribe(follow);
    mine.start();
    const stopWatching = watchAttention((isActive) => mine.setActive(isActive));
    const turn = () => mine.turnedTo();
    document.addEventListener("visibilitychange", turn);
    window.addEventListener("online", online);
    window.addEventListener("offline", offline);
    return () => {
      stopWatching();
      document.removeEventListener("visibilitychange", turn);
      stopFollowing();
      mine.stop();
      tab = null;
      clearInterval(sweep);
      window.removeEventListener("online", online);
      window.removeEventListener("offline", offline);
    };
  }, [mine]);
  return mine;
}

export function useLinkState(of: Tab): LinkState {
  return useStore(of.state);
}

/** Tell the others that this person is typing, or has stopped; lost without harm when not connected. */
export function sayTyping(conversationId: string, isTyping: boolean): void {
  tab?.say({ type: "typing", conversation_id: conversationId, is_typing: isTyping });
}

/** What failed while the server was away is asked again as soon as it is back. */
function retryFailed(cache: QueryClient): void {
  void cache.refetchQueries({ type: "active", predicate: ({ state }) => state.status === "error" });
}

function join(cache: QueryClient, cursor: number, replay: Replay): Tab {
  const { organization_id, user } = currentSession();
  const ears = { onNews: (frame: News) => apply(frame, replay), onResync: () => void cache.invalidateQueries() };
  const options = {
    id: tabId,
    connect,
    neighbours: browserNeighbours(organization_id, user.user_id),
    isVisible: () => document.visibilityState === "visible",
  };
  return new Tab(options, ears, cursor);
}

function apply(frame: News, replay: Replay): void {
  // What has been heard of must be in whatever is fetched from here on.
  if ("position" in frame) keepPosition(frame.position);
  if (frame.type === "event") {
    replay.apply(frame.event);
    activities.set((before) => settle(before, frame.event));
  } else if (frame.type === "ephemeral") activities.set((before) => applyEphemeral(before, frame, Date.now()));
  else if (frame.type === "presence") lists.set((before) => applyPresence(before, frame));
}

function connect(ears: LineEars): Connection {
  const link = { ...ears, open: openWire, token: realtimeToken, post, isOnline: () => navigator.onLine };
  return new Connection(link, new Choice(sessionStorage));
}

/** A stream can't say who is away; then its person counts as being here. */
function post(saying: Saying): void {
  if (saying.type === "typing") postTyping(saying.conversation_id, saying.is_typing);
}
