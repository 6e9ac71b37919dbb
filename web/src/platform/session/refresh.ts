import type { Session } from "@/platform/api/types";
import { Problem } from "@/platform/api/problem";
import { session } from "./session";

const LOCK = "dana-refresh";
const TABS = "dana-session";
/** A token another tab fetched this recently is used instead of fetching one more. */
const FRESH_MS = 20_000;
/** A token this near to its end isn't used for anything that lasts. */
const ENDING_MS = 30_000;

type Note = { name: "session"; session: Session } | { name: "signed-out" };

let running: Promise<Session> | null = null;
let receivedAt = 0;
let endsAt = 0;
const tabs = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(TABS);

/**
 * Get a new access token by the refresh cookie: one request at a time in this tab and across tabs, because
 * the cookie rotates and its reuse looks like theft. Throws a `Problem`: 401 when nobody is signed in.
 */
export function refresh(): Promise<Session> {
  running ??= exclusively(fetchSession).finally(() => {
    running = null;
  });
  return running;
}

/** Give an access token that lives at least so long yet, or a new one. */
export async function accessToken(leastMs: number = ENDING_MS): Promise<string> {
  const known = session.get();
  if (known && Date.now() < endsAt - leastMs) return known.access_token;
  return (await refresh()).access_token;
}

/** Take over a session just made here by signing in, and tell the other tabs. */
export function adopt(next: Session): void {
  keep(next);
  tabs?.postMessage({ name: "session", session: next } satisfies Note);
}

/** Forget the session here and in the other tabs. */
export function forget(): void {
  receivedAt = 0;
  session.set(null);
  tabs?.postMessage({ name: "signed-out" } satisfies Note);
}

/** Follow what other tabs do; returns how to stop. `onSignedOut` runs when one of them signs out. */
export function followTabs(onSignedOut: () => void): () => void {
  const listen = ({ data }: MessageEvent<Note>) => {
    const mine = session.get();
    if (data.name === "signed-out") {
      session.set(null);
      if (mine) onSignedOut();
    } else if (!mine || isSamePerson(mine, data.session)) {
      keep(data.session);
    } else {
      // Somebody else signed in in another tab: this tab's cookie is theirs now, so it starts over.
      window.location.assign("/");
    }
  };
  tabs?.addEventListener("message", listen);
  return () => tabs?.removeEventListener("message", listen);
}

async function fetchSession(): Promise<Session> {
  const known = session.get();
  if (known && Date.now() - receivedAt < FRESH_MS) return known;
  let response: Response;
  try {
    response = await fetch("/api/v1/auth/refresh", { method: "POST", credentials: "same-origin" });
  } catch {
    throw new Problem(0, null);
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.status === 401 && known) forget();
  if (!response.ok) throw new Problem(response.status, body, response.headers.get("retry-after"));
  adopt(body as Session);
  return body as Session;
}

function keep(next: Session): void {
  receivedAt = Date.now();
  endsAt = receivedAt + next.expires_in * 1000;
  session.set(next);
}

function exclusively<T>(run: () => Promise<T>): Promise<T> {
  return navigator.locks ? navigator.locks.request(LOCK, run) : run();
}

function isSamePerson(one: Session, other: Session): boolean {
  return one.user.user_id === other.user.user_id && one.organization_id === other.organization_id;
}
