import { api, unwrap } from "@/platform/api/client";
import { forget } from "@/platform/session/refresh";
import { notifyFailed } from "@/ui/notify";

/** End the session here, or everywhere; the page starts afresh so that nothing of it stays in memory. */
export async function signOut(isEverywhere: boolean): Promise<void> {
  try {
    await unwrap(isEverywhere ? api.POST("/api/v1/auth/logout-everywhere") : api.POST("/api/v1/auth/logout"));
  } catch (error) {
    notifyFailed("You are still signed in", error);
    return;
  }
  leave();
}

/** Drop what this tab knows and go to the sign-in page. */
export function leave(): void {
  sessionStorage.clear();
  forget();
  window.location.assign("/signin");
}
