import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { event, FakeBrowser, FakeLine } from "./examples";
import type { News } from "./frames";
import { Tab } from "./tab";

const RUNS = 60;
const STEPS = 120;

/** One person's browser and a server whose history is the truth. */
class World {
  readonly browser = new FakeBrowser();
  readonly tabs = new Map<string, { tab: Tab; cursor: number; seen: number[] }>();
  readonly history: number[] = [];
  private cursor = 0;
  private opened = 0;
  private line: FakeLine | null = null;

  open(): void {
    const id = `tab${++this.opened}`;
    const one = { cursor: this.cursor, seen: [] as number[] };
    const ears = {
      onNews: (frame: News) => frame.type === "event" && one.seen.push(frame.cursor),
      onResync() {
        // What it fetches now holds everything that has happened.
        one.cursor = tab.cursor;
        one.seen.length = 0;
      },
    };
    const connect = (to: ConstructorParameters<typeof FakeLine>[0]) => {
      const line = new FakeLine(to);
      line.onStart = () => {
        this.line = line;
        line.brings(...this.history.filter((at) => at > line.from).map(event), { type: "heartbeat", cursor: this.cursor });
      };
      return line;
    };
    const tab = new Tab({ id, connect, neighbours: this.browser.neighboursOf(id), isVisible: () => true }, ears, this.cursor);
    this.tabs.set(id, { tab, ...one, get cursor() { return one.cursor; }, seen: one.seen });
    tab.start();
  }

  /** Some events are none of a member's business, and leave a gap in what he gets. */
  happen(isSeen: boolean): void {
    this.cursor++;
    if (!isSeen) return;
    this.history.push(this.cursor);
    this.line?.brings(event(this.cursor));
  }

  beat(): void {
    this.line?.brings({ type: "heartbeat", cursor: this.cursor });
  }

  end(id: string, isCrash: boolean): void {
    if (isCrash) this.browser.crash(id);
    else this.tabs.get(id)?.tab.stop();
    this.tabs.delete(id);
    if (this.tabs.size === 0) this.line = null;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it.each(Array.from({ length: RUNS }, (_, seed) => seed + 1))("brings every event once to every tab, whatever happens (%i)", async (seed) => {
  const random = lottery(seed);
  const world = new World();
  world.open();
  for (let step = 0; step < STEPS; step++) {
    const lot = random();
    const ids = [...world.tabs.keys()];
    const any = ids[Math.floor(random() * ids.length)] ?? "";
    const isBadDay = random() < 0.3;
    world.browser.isLost = (note) => isBadDay && ["frame", "replay", "want", "since"].includes(note.name) && random() < 0.5;
    if (lot < 0.15 && ids.length < 6) world.open();
    else if (lot < 0.22 && any) world.end(any, random() < 0.5);
    else if (lot < 0.3) world.beat();
    else world.happen(random() < 0.8);
    if (random() < 0.2) await vi.advanceTimersByTimeAsync(4_000);
  }
  world.browser.isLost = () => false;
  await vi.advanceTimersByTimeAsync(4_000);
  world.beat();
  world.happen(true);
  for (const { cursor, seen } of world.tabs.values()) expect(seen).toEqual(world.history.filter((at) => at > cursor));
});

/** The same numbers for the same seed (mulberry32). */
function lottery(seed: number): () => number {
  let state = seed * 0x9e3779b9;
  return () => {
    state = Math.trunc(state + 0x6d2b79f5);
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
