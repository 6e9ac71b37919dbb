import { createStore, useStore } from "@/platform/store";
import type { Role, Session } from "@/platform/api/types";

/** Who is signed in here. The access token lives in memory only; a reload gets a new one by the refresh cookie. */
export const session = createStore<Session | null>(null);

export function currentSession(): Session {
  const now = session.get();
  if (!now) throw new Error("nobody is signed in");
  return now;
}

/** The signed-in session, for components below the shell, which shows only when there is one. */
export function useSession(): Session {
  const now = useStore(session);
  return now ?? currentSession();
}

export function useIsAdmin(): boolean {
  return isAdmin(useSession().user.role);
}

export function isAdmin(role: Role): boolean {
  return role === "owner" || role === "admin";
}
