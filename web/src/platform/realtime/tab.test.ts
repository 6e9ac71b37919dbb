import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { event, FakeBrowser, FakeLine } from "./examples";
import type { News } from "./frames";
import { Tab } from "./tab";

let browser: FakeBrowser;

beforeEach(() => {
  vi.useFakeTimers();
  FakeLine.open = 0;
  browser = new FakeBrowser();
});
afterEach(() => {
  vi.useRealTimers();
});

function open(id: string, cursor = 7) {
  const events: number[] = [];
  const lists: string[] = [];
  let resyncs = 0;
  const ears = {
    onNews(frame: News) {
      if (frame.type === "event") events.push(frame.cursor);
      if (frame.type === "presence") lists.push(frame.people.map(({ name }) => name).join());
    },
    onResync: () => resyncs++,
  };
  const neighbours = browser.neighboursOf(id);
  const tab = new Tab({ id, connect: (line) => new FakeLine(line), neighbours, isVisible: () => true }, ears, cursor);
  tab.start();
  return { id, tab, events, lists, resyncs: () => resyncs };
}

const server = () => FakeLine.latest;
const beat = (cursor: number): News => ({ type: "heartbeat", cursor });

it("opens one connection for five tabs, and each sees every event once", () => {
  const tabs = ["a", "b", "c", "d", "e"].map((id) => open(id));
  server().brings(event(8), event(10), beat(11), event(12));
  expect(FakeLine.open).toBe(1);
  for (const { events } of tabs) expect(events).toEqual([8, 10, 12]);
  for (const { tab } of tabs) expect(tab.state.get()).toBe("live");
});

it("passes the connection on when the leader closes, from where the next one is", () => {
  const [a, b, c] = [open("a"), open("b"), open("c")];
  server().brings(event(8));
  a.tab.stop();
  expect(FakeLine.open).toBe(1);
  expect(server().from).toBe(8);
  server().brings(event(9));
  browser.crash("b");
  server().brings(event(10));
  expect(b.events).toEqual([8, 9]);
  expect(c.events).toEqual([8, 9, 10]);
});

it("ignores what is older than what a tab has fetched", () => {
  open("a", 7);
  const late = open("b", 9);
  server().brings(event(8), event(9), event(10));
  expect(late.events).toEqual([10]);
});

it("brings a tab that is behind up to date from what the leader keeps", () => {
  open("a", 7);
  server().brings(event(8), event(9), beat(11));
  const said: string[] = [];
  browser.isLost = ({ name }) => said.push(name) === 0;
  const behind = open("b", 8);
  expect(behind.events).toEqual([9]);
  server().brings(event(12));
  expect(behind.events).toEqual([9, 12]);
  expect(behind.resyncs()).toBe(0);
  expect(said).not.toContain("since");
});

it("has a tab fetch anew that is further behind than anybody remembers", () => {
  open("a", 7);
  server().brings(...Array.from({ length: 600 }, (_, index) => event(8 + index)));
  const behind = open("b", 50);
  expect(behind.resyncs()).toBe(1);
  server().brings(event(608));
  expect(behind.events).toEqual([608]);
});

it("notices a note that was lost by the cursor of the next, and asks for it once", () => {
  open("a");
  const other = open("b");
  browser.isLost = (note) => note.name === "frame";
  server().brings(event(8), beat(9));
  browser.isLost = () => false;
  server().brings(event(10));
  expect(other.events).toEqual([8, 10]);
  server().brings(event(11));
  expect(other.events).toEqual([8, 10, 11]);
});

it("takes no answer that is another tab's", () => {
  open("a", 7);
  const lagging = open("b", 7);
  browser.isLost = (note) => note.name === "frame";
  server().brings(event(8), event(9));
  browser.isLost = () => false;
  expect(open("c", 8).events).toEqual([9]);
  expect(lagging.events).toEqual([]);
  server().brings(event(10));
  expect(lagging.events).toEqual([8, 9, 10]);
});

it("fetches everything again in every tab when the server can't replay", () => {
  const tabs = [open("a"), open("b")];
  server().brings({ type: "resync", cursor: 50 }, event(51));
  for (const { events, resyncs } of tabs) {
    expect(resyncs()).toBe(1);
    expect(events).toEqual([51]);
  }
});

it("follows what all tabs want together, and forgets what a tab wanted that has gone", () => {
  const [a, b] = [open("a"), open("b")];
  const c = open("c");
  a.tab.follow(["conversation:1"]);
  b.tab.follow(["conversation:2", "conversation:1"]);
  c.tab.follow(["conversation:3"]);
  expect(server().channels).toEqual(["conversation:1", "conversation:2", "conversation:3"]);
  browser.crash("c");
  expect(server().channels).toEqual(["conversation:1", "conversation:2"]);
  a.tab.stop();
  expect(server().channels).toEqual(["conversation:1", "conversation:2"]);
});

it("is away only when nobody is at any tab", () => {
  const [a, b] = [open("a"), open("b")];
  a.tab.setActive(false);
  expect(server().isAway).toBe(false);
  b.tab.setActive(false);
  expect(server().isAway).toBe(true);
  b.tab.setActive(true);
  expect(server().isAway).toBe(false);
});

it("says through the leader what is said in another tab", () => {
  open("a");
  open("b").tab.say({ type: "typing", conversation_id: "1", is_typing: true });
  expect(server().said).toHaveLength(1);
});

it("tells a tab that comes later who is there", () => {
  open("a");
  server().brings({ type: "presence", channel: "organization", people: [{ id: "1", kind: "member", name: "Ana", state: "online" }] });
  expect(open("b").lists).toEqual(["Ana"]);
});

it("asks a leader at once when somebody turns to another tab, and leaves one alone that answers", async () => {
  open("a");
  const awake = open("b");
  awake.tab.turnedTo();
  expect(server().wakes).toBe(1);
  await vi.advanceTimersByTimeAsync(15_000);
  expect(browser.leader).toBe("a");
  browser.isLost = (note) => note.name === "link";
  awake.tab.turnedTo();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(browser.leader).toBe("b");
});

it("takes the connection from a leader that doesn't answer, and gives it back to nobody", async () => {
  const frozen = open("a");
  const awake = open("b");
  browser.isLost = (note) => note.name === "link" || note.name === "lead";
  const before = server();
  await vi.advanceTimersByTimeAsync(36_000);
  expect(before.wakes).toBeGreaterThan(0);
  expect(browser.leader).toBe("b");
  expect(FakeLine.open).toBe(1);
  browser.isLost = () => false;
  server().brings(event(8));
  expect([frozen.events, awake.events]).toEqual([[8], [8]]);
});
