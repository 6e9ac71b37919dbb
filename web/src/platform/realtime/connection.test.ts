import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { backoffMs } from "./backoff";
import { Connection, type Link } from "./connection";

/** A socket in the test's hands. */
class FakeSocket extends EventTarget {
  readyState: number = WebSocket.OPEN;
  readonly sent: string[] = [];
  readonly url: URL;
  constructor(url: string) {
    super();
    this.url = new URL(url, "ws://dana.test");
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.readyState = WebSocket.CLOSED;
  }
  says(frame: object): void {
    this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(frame) }));
  }
  breaks(code: number): void {
    this.readyState = WebSocket.CLOSED;
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }
}

const hello = { type: "hello", cursor: 7, heartbeat_seconds: 20 };
const event = (cursor: number) => ({ type: "event", cursor, id: String(cursor), created_at: "", event: { type: "organization_created", name: String(cursor) } });

function start(cursor = 7) {
  const sockets: FakeSocket[] = [];
  const seen: string[] = [];
  const refused: boolean[] = [];
  const positions: string[] = [];
  let resyncs = 0;
  const link: Link = {
    open(url) {
      const socket = new FakeSocket(url);
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
    token(isRefused) {
      refused.push(isRefused);
      return Promise.resolve(`token${refused.length}`);
    },
    onPosition: (position) => position && positions.push(position),
    onEvent: (got) => seen.push("name" in got ? got.name : got.type),
    onEphemeral: () => undefined,
    onResync: () => resyncs++,
    isOnline: () => true,
  };
  const connection = new Connection(link, cursor);
  connection.start();
  const latest = async () => {
    await vi.advanceTimersByTimeAsync(0);
    return sockets.at(-1) as FakeSocket;
  };
  return { connection, sockets, seen, positions, refused, latest, resyncs: () => resyncs };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("continues from the last event it passed on, and passes each on once", async () => {
  const { connection, seen, latest } = start();
  const first = await latest();
  expect(first.url.searchParams.get("cursor")).toBe("7");
  first.says(hello);
  for (const cursor of [8, 9, 9, 8]) first.says(event(cursor));
  first.breaks(1006);
  expect(connection.state.get()).toBe("reconnecting");
  await vi.advanceTimersByTimeAsync(1000);
  const second = await latest();
  expect(second.url.searchParams.get("cursor")).toBe("9");
  second.says(hello);
  for (const cursor of [9, 10]) second.says(event(cursor));
  expect(seen).toEqual(["8", "9", "10"]);
  expect(connection.state.get()).toBe("live");
});

it("keeps the positions of what it has heard of", async () => {
  const { positions, resyncs, latest } = start();
  const socket = await latest();
  socket.says(hello);
  socket.says({ ...event(8), position: "b" });
  socket.says(event(9));
  socket.says({ ...event(8), position: "a" });
  socket.says({ type: "resync", cursor: 20, position: "c" });
  expect(positions).toEqual(["b", "c"]);
  expect(resyncs()).toBe(1);
});

it("comes back at once after a restart", async () => {
  const { sockets, latest } = start();
  (await latest()).says(hello);
  (await latest()).breaks(1012);
  await vi.advanceTimersByTimeAsync(500);
  expect(sockets).toHaveLength(2);
});

it("asks for a new token when the old one was refused", async () => {
  const { refused, latest } = start();
  (await latest()).says(hello);
  (await latest()).breaks(4401);
  await vi.advanceTimersByTimeAsync(500);
  expect(refused).toEqual([false, true]);
});

it("asks for a new token when the gateway refuses the handshake twice, as it gives no reason", async () => {
  const { refused, latest } = start();
  (await latest()).breaks(1006);
  await vi.advanceTimersByTimeAsync(1000);
  (await latest()).breaks(1006);
  await vi.advanceTimersByTimeAsync(1000);
  expect(refused).toEqual([false, false, true]);
});

it("takes silence for a dead connection", async () => {
  const { sockets, latest, connection } = start();
  (await latest()).says(hello);
  await vi.advanceTimersByTimeAsync(49_000);
  expect(connection.state.get()).toBe("live");
  await vi.advanceTimersByTimeAsync(2_000);
  expect(sockets).toHaveLength(2);
});

it("fetches everything again when the server can't replay", async () => {
  const { resyncs, latest, seen } = start();
  const socket = await latest();
  socket.says(hello);
  socket.says({ type: "resync", cursor: 50 });
  for (const cursor of [50, 51]) socket.says(event(cursor));
  expect(resyncs()).toBe(1);
  expect(seen).toEqual(["51"]);
});

it("stays away once stopped", async () => {
  const { connection, sockets, latest } = start();
  const socket = await latest();
  connection.stop();
  socket.breaks(1006);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sockets).toHaveLength(1);
});

it("waits longer with each failure, but never longer than fifteen seconds", () => {
  const longest = [0, 1, 2, 3, 20].map((attempt) => backoffMs(attempt, () => 1));
  expect(longest).toEqual([400, 800, 1600, 3200, 15_000]);
  expect(backoffMs(0, () => 0)).toBe(200);
});
