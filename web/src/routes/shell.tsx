import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Outlet, useLoaderData } from "@tanstack/react-router";
import { useEffect } from "react";
import { countsQuery, resumeOutbox } from "@/features/conversations";
import { leave } from "@/features/session";
import { useLinkState, useLiveCache } from "@/platform/realtime/live";
import { followTabs } from "@/platform/session/refresh";
import { session } from "@/platform/session/session";
import { useStore } from "@/platform/store";
import { LinkBanner } from "./link-banner";
import { Navigation } from "./navigation";
import { REDUCERS } from "./reducers";
import styles from "./shell.module.css";

/** What every page of a signed-in person stands in. Nothing below runs without a session. */
export function Shell() {
  const isSignedIn = useStore(session, (now) => now !== null);
  useEffect(() => {
    if (!isSignedIn) leave();
  }, [isSignedIn]);
  return isSignedIn ? <SignedIn /> : null;
}

function SignedIn() {
  const cache = useQueryClient();
  const { cursor } = useLoaderData({ from: "/shell" });
  const connection = useLiveCache(cache, cursor, REDUCERS);
  const counts = useQuery(countsQuery());
  useEffect(() => followTabs(leave), []);
  useEffect(() => resumeOutbox(cache), [cache]);
  return (
    <div className={styles.shell}>
      <a href="#main" className={styles.skip}>Skip to the content</a>
      <Navigation unread={counts.data?.unread ?? 0} isNew={counts.data?.resolved === 0} />
      <main id="main" className={styles.main} tabIndex={-1}>
        <LinkBanner state={useLinkState(connection)} onRetry={() => connection.retryNow()} />
        <div className={styles.content}><Outlet /></div>
      </main>
    </div>
  );
}
