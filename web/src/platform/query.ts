import { QueryClient, type QueryKey } from "@tanstack/react-query";
import { Problem } from "@/platform/api/problem";

const RETRIES = 3;
/** Many events in a row lead to one refetch. */
const SOON_MS = 350;

/** The cache of server state. The socket keeps it fresh, so focus and time don't refetch. */
export function createCache(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: Number.POSITIVE_INFINITY,
        gcTime: 10 * 60_000,
        refetchOnWindowFocus: false,
        refetchOnReconnect: false,
        networkMode: "always",
        retry: (failures, error) => failures < RETRIES && error instanceof Problem && error.isPassing,
        retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 5_000),
      },
      mutations: { networkMode: "always", retry: false },
    },
  });
}

const waiting = new Map<string, ReturnType<typeof setTimeout>>();

/** Refetch what an event made stale but doesn't carry, such as counters: once for many events. */
export function invalidateSoon(cache: QueryClient, queryKey: QueryKey): void {
  const name = JSON.stringify(queryKey);
  if (waiting.has(name)) return;
  const run = () => {
    waiting.delete(name);
    void cache.invalidateQueries({ queryKey });
  };
  waiting.set(name, setTimeout(run, SOON_MS));
}

/** Take the newer of two copies by version; an older copy never replaces a newer one. */
export function newer<T extends { version: number }>(before: T | undefined, after: T): T {
  return before && before.version >= after.version ? before : after;
}
