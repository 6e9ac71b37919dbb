import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Problem } from "@/platform/api/problem";
import { backoffMs, returnMs } from "./backoff";
import { event, hello, startConnection as start } from "./examples";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it("continues from the last event that was applied, and passes each on once", async () => {
  const { connection, seen, latest } = start();
  const first = await latest();
  expect(first.query.get("cursor")).toBe("7");
  first.says(hello);
  for (const cursor of [8, 9, 9, 8]) first.says(event(cursor));
  first.breaks(1006);
  expect(connection.state.get()).toBe("reconnecting");
  await vi.advanceTimersByTimeAsync(1000);
  const second = await latest();
  expect(second.query.get("cursor")).toBe("9");
  expect(second.query.get("token")).toBe("token2");
  second.says(hello);
  for (const cursor of [9, 10]) second.says(event(cursor));
  expect(seen).toEqual([8, 9, 10]);
  expect(connection.state.get()).toBe("live");
});

it("says how far it is: once a second, and with each heartbeat", async () => {
  const { latest } = start();
  const socket = await latest();
  socket.says(hello);
  for (const cursor of [8, 9, 10]) socket.says(event(cursor));
  expect(socket.said).toEqual([]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(socket.said).toEqual([{ type: "ack", cursor: 10 }]);
  socket.says({ type: "heartbeat", cursor: 12 });
  expect(socket.said.at(-1)).toEqual({ type: "ack", cursor: 12 });
  await vi.advanceTimersByTimeAsync(5000);
  expect(socket.said).toHaveLength(2);
});

it("takes 25 s of silence for a dead connection", async () => {
  const { wires, latest, connection } = start();
  (await latest()).says(hello);
  await vi.advanceTimersByTimeAsync(24_900);
  expect(connection.state.get()).toBe("live");
  await vi.advanceTimersByTimeAsync(1_200);
  expect(wires).toHaveLength(2);
});

it("renews its token in the last quarter of its time without a new connection", async () => {
  const { wires, asked, latest } = start();
  const socket = await latest();
  socket.says({ ...hello, valid_seconds: 20 });
  await vi.advanceTimersByTimeAsync(14_900);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(2_200);
  expect(asked).toEqual([30_000, 10_000]);
  expect(socket.said).toEqual([{ type: "renew", token: "token2" }]);
  socket.says({ type: "renewed", valid_seconds: 900 });
  await vi.advanceTimersByTimeAsync(20_000);
  expect(socket.said).toHaveLength(1);
  expect(wires).toHaveLength(1);
});

it("comes back when the server that sends it away says so", async () => {
  const { wires, latest } = start();
  const socket = await latest();
  socket.says(hello);
  socket.says({ type: "bye", code: 1012, reason: "restart", retry_ms: 4000 });
  expect(socket.isClosed).toBe(true);
  await vi.advanceTimersByTimeAsync(3_900);
  expect(wires).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(wires).toHaveLength(2);
});

it("comes back at once after a restart that nobody announced", async () => {
  const { wires, latest } = start();
  (await latest()).says(hello);
  (await latest()).breaks(1012);
  await vi.advanceTimersByTimeAsync(500);
  expect(wires).toHaveLength(2);
});

it("asks for a new session when the old one's token was refused", async () => {
  const { asked, latest } = start();
  (await latest()).says(hello);
  (await latest()).breaks(4401);
  await vi.advanceTimersByTimeAsync(500);
  expect(asked).toEqual([30_000, Number.POSITIVE_INFINITY]);
});

it("waits as long as a server that has too much to do says", async () => {
  const { link, wires } = start();
  link.token = () => Promise.reject(new Problem(429, null, "7"));
  await vi.advanceTimersByTimeAsync(0);
  wires[0]?.breaks(1012);
  await vi.advanceTimersByTimeAsync(500);
  link.token = () => Promise.resolve("token");
  await vi.advanceTimersByTimeAsync(6_400);
  expect(wires).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(700);
  expect(wires).toHaveLength(2);
});

it("waits longer each time when it is thrown out again and again", async () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  const { wires, latest } = start();
  for (const waitMs of [1_000, 2_000, 4_000, 8_000]) {
    const wire = await latest();
    wire.says(hello);
    wire.breaks(4408);
    await vi.advanceTimersByTimeAsync(waitMs - 10);
    expect(wires.at(-1)).toBe(wire);
    await vi.advanceTimersByTimeAsync(20);
    expect(wires.at(-1)).not.toBe(wire);
  }
});

it("follows what is wanted, and asks for it again when it comes back", async () => {
  const { connection, latest } = start();
  const socket = await latest();
  socket.says(hello);
  connection.follow(["conversation:a", "conversation:b"]);
  connection.follow(["conversation:b"]);
  expect(socket.said).toEqual([
    { type: "subscribe", channel: "conversation:a" },
    { type: "subscribe", channel: "conversation:b" },
    { type: "unsubscribe", channel: "conversation:a" },
  ]);
  socket.says({ type: "refused", channel: "conversation:b", reason: "not yours" });
  connection.follow(["conversation:b"]);
  expect(socket.said).toHaveLength(3);
  socket.breaks(1012);
  await vi.advanceTimersByTimeAsync(500);
  expect((await latest()).query.get("channels")).toBe("organization,conversation:b");
});

it("says again that nobody is there when it comes back", async () => {
  const { connection, latest } = start();
  connection.setAway(true);
  const first = await latest();
  first.says(hello);
  expect(first.said).toEqual([{ type: "state", state: "away" }]);
  connection.setAway(false);
  expect(first.said.at(-1)).toEqual({ type: "state", state: "online" });
});

it("does what is overdue when it is woken, as a background page's timers are late", async () => {
  const { connection, wires, latest } = start();
  (await latest()).says(hello);
  vi.setSystemTime(Date.now() + 60_000);
  connection.wake();
  expect(connection.state.get()).toBe("reconnecting");
  vi.setSystemTime(Date.now() + 60_000);
  connection.wake();
  await latest();
  expect(wires).toHaveLength(2);
});

it("stays away once stopped", async () => {
  const { connection, wires, latest } = start();
  const socket = await latest();
  connection.stop();
  socket.breaks(1006);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(wires).toHaveLength(1);
});

it("spreads returns from nothing up to half a minute, and repeats requests at longer and longer intervals", () => {
  expect([0, 1, 2, 20].map((attempt) => returnMs(attempt, () => 1))).toEqual([1_000, 2_000, 4_000, 30_000]);
  expect(returnMs(5, () => 0)).toBe(0);
  expect([0, 1, 2, 3, 20].map((attempt) => backoffMs(attempt, () => 1))).toEqual([400, 800, 1600, 3200, 15_000]);
  expect(backoffMs(0, () => 0)).toBe(200);
});
