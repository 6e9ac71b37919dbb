import { QueryClient, type QueryKey } from "@tanstack/react-query";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Conversation, Document, Inbox, Job, Member, Message } from "@/platform/api/types";
import { withEnd } from "@/platform/pages";
import type { DanaEvent } from "@/platform/realtime/frames";
import { Replay } from "@/platform/realtime/replay";
import { session } from "@/platform/session/session";
import { type Filter, keys as conversationKeys } from "@/features/conversations/queries";
import { keys as inboxKeys } from "@/features/inboxes/queries";
import { keys as jobKeys } from "@/features/jobs/queries";
import { keys as knowledgeKeys } from "@/features/knowledge/queries";
import { keys as teamKeys } from "@/features/team/queries";
import { REDUCERS } from "@/routes/reducers";

/**
 * The law: what events make of the cache is what would be fetched. The server's own test wrote these files, by
 * real actions; `LAW_SAMPLE` names a longer one, from its random walk.
 */
const GOLDEN = join(import.meta.dirname, "../../tests/law/golden");
const SAMPLE = process.env["LAW_SAMPLE"];
const FILES = SAMPLE ? [SAMPLE] : readdirSync(GOLDEN).map((file) => join(GOLDEN, file));
/** How many things of each list are loaded, while the server has more. */
const LOADED = [1, 2, 3, 7, 30];
/** As long as what is invalidated soon can take. */
const SOON_MS = 1_000;

interface Shown {
  members: Member[];
  inboxes: Inbox[];
  conversations: Conversation[];
  lists: { filter: { status: Filter["status"]; inbox_id?: string; assignee_id?: string }; ids: string[] }[];
  counts: Record<string, number>;
  messages: Record<string, Message[]>;
  documents: Document[];
  jobs: Job[] | null;
}

interface Played {
  before: Shown;
  events: DanaEvent[];
  after: Shown;
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.advanceTimersByTime(SOON_MS);
  vi.useRealTimers();
});

it("has something to hold the reducers against", () => expect(FILES).not.toHaveLength(0));

describe.each(FILES)("%s", (file) => {
  const played = JSON.parse(readFileSync(file, "utf8")) as Played;

  it("shows after the events what would be fetched", () => {
    const cache = filled(played.before);
    const replay = new Replay(cache, REDUCERS);
    for (const event of played.events) replay.apply(event);
    expectShown(cache, played);
  });

  it("shows it also when each event comes twice, and all of them once more", () => {
    const cache = filled(played.before);
    const replay = new Replay(cache, REDUCERS);
    for (const event of [...played.events.flatMap((one) => [one, one]), ...played.events]) replay.apply(event);
    expectShown(cache, played);
  });

  it("shows it also when what was fetched is newer than the events", () => {
    const cache = filled(played.after);
    const replay = new Replay(cache, REDUCERS);
    for (const event of played.events) replay.apply(event);
    expectShown(cache, { ...played, before: played.after });
  });

  it.each(LOADED)("shows as far as it had loaded what would be fetched, when that was %i of each", (loaded) => {
    const cache = filled(played.before, loaded);
    const replay = new Replay(cache, REDUCERS);
    for (const event of played.events) replay.apply(event);
    expectLoaded(cache, played, loaded);
  });

  it("follows one's own role and name", () => {
    const [me] = played.before.members;
    if (!me) return;
    session.set({ access_token: "", expires_in: 0, organization_id: "", organization_name: "", user: me });
    for (const event of played.events) for (const reduce of REDUCERS) reduce(new QueryClient(), event);
    expect(session.get()?.user).toEqual(played.after.members.find(({ user_id }) => user_id === me.user_id));
  });
});

/** A cache as the console fills it, with so many of each list. */
function filled(shown: Shown, loaded = Number.POSITIVE_INFINITY): QueryClient {
  const cache = new QueryClient();
  const fill = (key: QueryKey, all: readonly unknown[]) => {
    const more = all.length > loaded ? "more" : null;
    const page = withEnd({ items: all.slice(0, loaded), next_cursor: more, org_cursor: 0 });
    cache.setQueryData(key, { pages: [page], pageParams: [undefined] });
  };
  for (const { filter, conversations } of listsOf(shown)) fill(conversationKeys.list(filter), conversations);
  for (const one of shown.conversations) cache.setQueryData(conversationKeys.one(one.id), one);
  for (const [id, messages] of Object.entries(shown.messages)) {
    const items = messages.slice(-loaded);
    const more = items.length < messages.length ? "more" : null;
    cache.setQueryData(conversationKeys.messages(id), { pages: [{ items, next_cursor: more, org_cursor: 0 }], pageParams: [undefined] });
  }
  cache.setQueryData(conversationKeys.counts, shown.counts);
  cache.setQueryData(inboxKeys.all, shown.inboxes);
  cache.setQueryData(teamKeys.members, shown.members);
  fill(knowledgeKeys.documents, shown.documents);
  if (shown.jobs) fill(jobKeys.jobs, shown.jobs);
  return cache;
}

function expectShown(cache: QueryClient, { before, after }: Played): void {
  expect(cache.getQueryData(inboxKeys.all)).toEqual(after.inboxes);
  expect(cache.getQueryData(teamKeys.members)).toEqual(after.members);
  expect(itemsOf(cache, knowledgeKeys.documents)).toEqual(after.documents);
  if (after.jobs) expect(itemsOf(cache, jobKeys.jobs)).toEqual(after.jobs);
  for (const { filter, conversations } of listsOf(after)) {
    const key = conversationKeys.list(filter);
    if (cache.getQueryData(key)) expect(itemsOf(cache, key), JSON.stringify(filter)).toEqual(conversations);
  }
  expectConversations(cache, before, after);
  // Counts aren't in events: they are asked for again, once for many of them.
  vi.advanceTimersByTime(SOON_MS);
  const isRenewed = cache.getQueryState(conversationKeys.counts)?.isInvalidated;
  if (!isRenewed) expect(cache.getQueryData(conversationKeys.counts)).toEqual(after.counts);
}

function expectConversations(cache: QueryClient, before: Shown, after: Shown): void {
  for (const { id } of before.conversations) {
    const now = after.conversations.find((one) => one.id === id);
    if (now) {
      expect(cache.getQueryData(conversationKeys.one(id))).toEqual(now);
      expect(itemsOf(cache, conversationKeys.messages(id))).toEqual(after.messages[id]);
    } else {
      expect(cache.getQueryState(conversationKeys.one(id))?.isInvalidated, "who looks at it is told").toBe(true);
      expect(cache.getQueryData(conversationKeys.messages(id))).toBeUndefined();
    }
  }
}

/** The next page begins where the last one ended when it was fetched: all that stands before is loaded. */
function expectLoaded(cache: QueryClient, { before, after }: Played, loaded: number): void {
  const then = new Map(listsOf(before).map(({ filter, conversations }) => [JSON.stringify(filter), conversations]));
  for (const { filter, conversations } of listsOf(after)) {
    const known = then.get(JSON.stringify(filter));
    if (!known) continue;
    const end = known.length > loaded ? known[loaded - 1] : undefined;
    const wanted = end ? conversations.filter((one) => order(one, end) <= 0) : conversations;
    expect(itemsOf(cache, conversationKeys.list(filter)), JSON.stringify(filter)).toEqual(wanted);
  }
  const upTo = <T extends { id: string }>(known: T[], now: T[]) => {
    const end = known.length > loaded ? known[loaded - 1] : undefined;
    return end ? now.filter(({ id }) => id >= end.id) : now;
  };
  expect(itemsOf(cache, knowledgeKeys.documents)).toEqual(upTo(before.documents, after.documents));
  if (before.jobs && after.jobs) expect(itemsOf(cache, jobKeys.jobs)).toEqual(upTo(before.jobs, after.jobs));
  for (const [id, messages] of Object.entries(before.messages)) {
    const first = messages.at(-loaded)?.seq ?? 1;
    const now = after.messages[id]?.filter(({ seq }) => seq >= first);
    if (now) expect(itemsOf(cache, conversationKeys.messages(id))).toEqual(now);
  }
}

/** What comes first in a list comes first here; microseconds count. */
function order(one: Conversation, other: Conversation): number {
  const [a, b] = [place(one), place(other)];
  if (a === b) return 0;
  return a > b ? -1 : 1;
}

function place({ last_activity_at, id }: Conversation): string {
  const [whole = "", fraction = ""] = last_activity_at.replace("Z", "").split(".");
  return `${whole}.${fraction.padEnd(6, "0")} ${id}`;
}

function listsOf(shown: Shown): { filter: Filter; conversations: Conversation[] }[] {
  const byId = new Map(shown.conversations.map((one) => [one.id, one]));
  return shown.lists.map(({ filter: { status, inbox_id, assignee_id }, ids }) => ({
    filter: { status, ...(assignee_id && { assigneeId: assignee_id }), ...(inbox_id && { inboxId: inbox_id }) },
    conversations: ids.flatMap((id) => byId.get(id) ?? []),
  }));
}

function itemsOf(cache: QueryClient, key: QueryKey): unknown[] | undefined {
  const pages = cache.getQueryData<{ pages: { items: unknown[] }[] }>(key)?.pages;
  return pages?.flatMap((page) => page.items);
}

it("reads the names of the files", () => expect(FILES.every((file) => basename(file).endsWith(".json"))).toBe(true));
