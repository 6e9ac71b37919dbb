import { vi } from "vitest";
import { createStore } from "@/platform/store";
import { Choice } from "./choice";
import { Connection, type LinkState } from "./connection";
import type { News, Saying } from "./frames";
import { Intake } from "./intake";
import type { Line, LineEars } from "./leading";
import type { Neighbours, Note } from "./notes";
import type { Ears, Wire, WireKind } from "./wire";

/** Doubles for the tests: wires whose other end is the test, and tabs that hear each other. */

export const hello = { type: "hello", cursor: 7, heartbeat_seconds: 10, valid_seconds: 900, channels: ["organization"] };

export function event(cursor: number) {
  return { type: "event", cursor, id: String(cursor), created_at: "", event: { type: "organization_created", name: String(cursor) } } as const;
}

export class FakeWire implements Wire {
  readonly kind: WireKind;
  readonly query: URLSearchParams;
  readonly said: unknown[] = [];
  isClosed = false;
  private readonly ears: Ears;

  constructor(kind: WireKind, query: URLSearchParams, ears: Ears) {
    this.kind = kind;
    this.query = query;
    this.ears = ears;
  }

  say(text: string): void {
    this.said.push(JSON.parse(text));
  }

  close(): void {
    this.isClosed = true;
  }

  says(frame: object): void {
    this.ears.heard(JSON.stringify(frame));
  }

  breaks(code: number): void {
    this.ears.ended(code);
  }
}

function notebook(): Pick<Storage, "getItem" | "setItem" | "removeItem"> {
  const kept = new Map<string, string>();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
}

/** A connection over wires in the test's hands. */
export function startConnection(cursor = 7) {
  const intake = new Intake(cursor);
  const wires: FakeWire[] = [];
  const seen: number[] = [];
  const asked: number[] = [];
  const posted: Saying[] = [];
  const link = {
    open(kind: WireKind, query: URLSearchParams, ears: Ears) {
      const wire = new FakeWire(kind, query, ears);
      wires.push(wire);
      return wire;
    },
    token(leastMs: number) {
      asked.push(leastMs);
      return Promise.resolve(`token${asked.length}`);
    },
    cursor: () => intake.cursor,
    receive: (frame: News) => intake.take(frame) && frame.type === "event" && seen.push(frame.cursor),
    post: (saying: Saying) => posted.push(saying),
    isOnline: () => true,
  };
  const connection = new Connection(link, new Choice(notebook()));
  connection.start();
  const latest = async () => {
    await vi.advanceTimersByTimeAsync(0);
    return wires.at(-1) as FakeWire;
  };
  return { connection, link, wires, seen, asked, posted, latest };
}

/** The server's end of the one connection, and how many connections there are. */
export class FakeLine implements Line {
  static open = 0;
  static latest: FakeLine;
  readonly state = createStore<LinkState>("connecting");
  readonly said: Saying[] = [];
  readonly from: number;
  channels: string[] = [];
  isAway = false;
  wakes = 0;
  onStart: () => void = () => undefined;
  private readonly ears: LineEars;

  constructor(ears: LineEars) {
    this.ears = ears;
    this.from = ears.cursor();
  }
  start(): void {
    FakeLine.open++;
    FakeLine.latest = this;
    this.state.set("live");
    this.onStart();
  }
  stop(): void {
    FakeLine.open--;
  }
  retryNow = () => undefined;
  wentOffline = () => undefined;
  wake(): void {
    this.wakes++;
  }
  follow(channels: Iterable<string>): void {
    this.channels = [...channels].toSorted();
  }
  setAway(isAway: boolean): void {
    this.isAway = isAway;
  }
  say(saying: Saying): void {
    this.said.push(saying);
  }
  brings(...frames: News[]): void {
    for (const frame of frames) this.ears.receive(frame);
  }
}

interface Resident {
  hear: ((note: Note) => void) | null;
  office: { begin(): void; lost(): void } | null;
  whenGone: (() => void)[];
}

/** One browser: notes reach every other tab, and one office goes to one tab after the other. */
export class FakeBrowser {
  private readonly residents = new Map<string, Resident>();
  private readonly queue: string[] = [];
  leader: string | null = null;
  /** Drops notes on their way, as a test says. */
  isLost: (note: Note) => boolean = () => false;

  neighboursOf(tab: string): Neighbours {
    const resident: Resident = { hear: null, office: null, whenGone: [] };
    this.residents.set(tab, resident);
    return {
      post: (note) => this.post(tab, note),
      listen(hear) {
        resident.hear = hear;
        return () => {
          resident.hear = null;
        };
      },
      lead: (office) => {
        resident.office = office;
        this.queue.push(tab);
        this.elect();
        return () => this.leave(tab);
      },
      steal: () => {
        if (!this.residents.has(tab) || this.leader === tab) return;
        const before = this.leader;
        this.leader = tab;
        if (before) this.residents.get(before)?.office?.lost();
        resident.office?.begin();
      },
      whenGone: (other, call) => this.residents.get(other)?.whenGone.push(call),
    };
  }

  /** A tab ends without a word, as in a crash. */
  crash(tab: string): void {
    const resident = this.residents.get(tab);
    this.residents.delete(tab);
    for (const call of resident?.whenGone ?? []) call();
    this.leave(tab);
  }

  private post(from: string, note: Note): void {
    if (!this.residents.has(from) || this.isLost(note)) return;
    const copy = JSON.stringify(note);
    for (const [tab, { hear }] of this.residents) if (tab !== from) hear?.(JSON.parse(copy) as Note);
  }

  private leave(tab: string): void {
    this.queue.splice(this.queue.indexOf(tab), 1);
    if (this.leader === tab) this.leader = null;
    this.elect();
  }

  private elect(): void {
    const [next] = this.queue;
    if (this.leader || !next) return;
    this.leader = next;
    this.residents.get(next)?.office?.begin();
  }
}
