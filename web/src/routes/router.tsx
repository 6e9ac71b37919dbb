import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { fetchCursor, type Filter } from "@/features/conversations";
import { InboxesPage } from "@/features/inboxes";
import { TeamPage } from "@/features/team";
import { refresh } from "@/platform/session/refresh";
import { session } from "@/platform/session/session";
import { Problem } from "@/platform/api/problem";
import type { Status } from "@/platform/api/types";
import { Broken, NotFound, Starting } from "./edges";
import { InboxLayout, OpenConversation, PickConversation } from "./inbox";
import { InvitePage, SignInPage, SignUpPage } from "./session";
import { Shell } from "./shell";

export interface InboxSearch {
  status?: Status;
  mine?: true;
  inbox?: string;
}

const STATUSES: readonly unknown[] = ["open", "pending", "snoozed", "resolved"] satisfies Filter["status"][];

const root = createRootRouteWithContext<{ cache: QueryClient }>()({ component: Outlet, notFoundComponent: NotFound });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/signin",
  validateSearch: (search): { from?: string } => (isPath(search["from"]) ? { from: search["from"] } : {}),
  component: SignInPage,
});
const signUp = createRoute({ getParentRoute: () => root, path: "/signup", component: SignUpPage });
const invite = createRoute({ getParentRoute: () => root, path: "/invite/$token", component: InvitePage });

/** All pages of a signed-in person: the session first, then the cursor from which the socket continues. */
const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  beforeLoad: ({ location }) => signedIn(location.href),
  loader: async () => ({ cursor: await fetchCursor() }),
  staleTime: Number.POSITIVE_INFINITY,
  shouldReload: false,
  component: Shell,
});

const home = createRoute({
  getParentRoute: () => shell,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/inbox" });
  },
});
const welcome = createRoute({
  getParentRoute: () => shell,
  path: "/welcome",
  component: lazyRouteComponent(() => import("./welcome"), "WelcomePage"),
});
const inbox = createRoute({
  getParentRoute: () => shell,
  path: "/inbox",
  validateSearch: inboxSearch,
  component: InboxLayout,
});
const pick = createRoute({ getParentRoute: () => inbox, path: "/", component: PickConversation });
const open = createRoute({ getParentRoute: () => inbox, path: "$conversationId", component: OpenConversation });
const knowledge = createRoute({
  getParentRoute: () => shell,
  path: "/knowledge",
  validateSearch: (search): { tab?: "test"; document?: string } => ({
    ...(search["tab"] === "test" ? { tab: "test" } : {}),
    ...(typeof search["document"] === "string" ? { document: search["document"] } : {}),
  }),
  component: lazyRouteComponent(() => import("./knowledge"), "KnowledgeRoute"),
});
const inboxes = createRoute({
  getParentRoute: () => shell,
  path: "/inboxes",
  component: InboxesPage,
});
const team = createRoute({
  getParentRoute: () => shell,
  path: "/team",
  component: TeamPage,
});
const assistant = createRoute({
  getParentRoute: () => shell,
  path: "/assistant",
  component: lazyRouteComponent(() => import("@/features/assistant"), "AssistantPage"),
});

const jobs = createRoute({
  getParentRoute: () => shell,
  path: "/jobs",
  component: lazyRouteComponent(() => import("./jobs"), "JobsRoute"),
});

const tree = root.addChildren([
  signIn,
  signUp,
  invite,
  shell.addChildren([home, welcome, inbox.addChildren([pick, open]), knowledge, inboxes, team, assistant, jobs]),
]);

export function makeRouter(cache: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { cache },
    defaultPreload: "intent",
    defaultPendingComponent: Starting,
    defaultErrorComponent: Broken,
    scrollRestoration: false,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}

async function signedIn(from: string): Promise<void> {
  if (session.get()) return;
  try {
    await refresh();
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401) throw error;
    throw redirect({ to: "/signin", search: from === "/" ? {} : { from } });
  }
}

function inboxSearch(search: Record<string, unknown>): InboxSearch {
  return {
    ...(STATUSES.includes(search["status"]) && search["status"] !== "open" ? { status: search["status"] as Status } : {}),
    ...(search["mine"] === true ? { mine: true } : {}),
    ...(typeof search["inbox"] === "string" ? { inbox: search["inbox"] } : {}),
  };
}

/** Only a path of this site may be returned to after signing in, never another site. */
function isPath(value: unknown): value is string {
  return typeof value === "string" && /^\/(?![/\\])/u.test(value);
}
