import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Answer } from "../src/api";
import { delayMs } from "../src/backoff";
import { Choice } from "../src/choice";
import { Connection } from "../src/connection";
import { socketLine, streamLine } from "../src/line";
import type { RealtimeToken, Typing } from "../src/wire";
import { appended, later, message, ok, settle, unknown, Wire } from "./examples";

const onRefused = vi.fn();
const live: boolean[] = [];
const posted: Typing[] = [];
let blockedAt = 0;
let answer: Answer<RealtimeToken>;
let cursor = 0;
let connection: Connection;

beforeEach(async () => {
  vi.useFakeTimers();
  Wire.all = [];
  live.length = 0;
  posted.length = 0;
  blockedAt = 0;
  cursor = 0;
  answer = ok({ token: "t" });
  onRefused.mockReset();
  connection = new Connection({
    choice: new Choice({ blockedAt: () => blockedAt, saveBlockedAt: (at) => (blockedAt = at ?? 0) }),
    token: async () => answer,
    open: (kind, token, ears) => {
      const wire = new Wire(`${kind}:${token}`);
      return kind === "socket" ? socketLine(wire as unknown as WebSocket, ears) : streamLine(wire as unknown as EventSource, ears);
    },
    cursor: () => cursor,
    random: () => 0.5,
    onFrame: (frame) => "cursor" in frame && (cursor = frame.cursor),
    onLive: (isLive) => live.push(isLive),
    onRefused,
    post: (frame) => posted.push(frame),
  });
  connection.start();
  await settle();
});
afterEach(() => void vi.useRealTimers());

const kinds = () => Wire.all.map(({ url }) => url.split(":")[0]);

it("waits longer after every failure, up to half a minute", async () => {
  const pauses: number[] = [];
  for (let failures = 0; failures < 9; failures += 1) {
    Wire.last.breaks();
    const cutAt = Date.now();
    await vi.advanceTimersToNextTimerAsync();
    pauses.push(Date.now() - cutAt);
    await settle();
  }
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000, 15_000]);
  expect(delayMs({ firstMs: 500, longestMs: 30_000 }, 50, () => 1)).toBe(30_000);
});

it("comes back at once after a restart", async () => {
  Wire.last.hello();
  Wire.last.breaks(1012);
  await vi.advanceTimersByTimeAsync(500);
  expect(Wire.all).toHaveLength(2);
});

it("comes back when the server that sends it away says so", async () => {
  Wire.last.hello();
  Wire.last.says({ type: "bye", code: 1012, reason: "restart", retry_ms: 7_000 });
  expect(live).toEqual([true, false]);
  await vi.advanceTimersByTimeAsync(6_900);
  expect(Wire.all).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(Wire.all).toHaveLength(2);
});

it("stays away for a while when there are too many", async () => {
  Wire.last.breaks(4429);
  await vi.advanceTimersByTimeAsync(14_000);
  expect(Wire.all).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(Wire.all).toHaveLength(2);
});

it("asks about its token when the server refuses it, at the socket or before", async () => {
  Wire.last.breaks(4401);
  expect(onRefused).toHaveBeenCalledOnce();
  answer = unknown;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(onRefused.mock.calls.length).toBeGreaterThan(1);
  expect(Wire.all).toHaveLength(1);
});

it("gives up a socket that fell silent for two and a half heartbeats", async () => {
  Wire.last.hello();
  await vi.advanceTimersByTimeAsync(24_900);
  expect(live).toEqual([true]);
  await vi.advanceTimersByTimeAsync(200);
  expect(live).toEqual([true, false]);
});

it("says how far it is: once a second, and with each heartbeat", async () => {
  Wire.last.hello();
  Wire.last.says(appended(8, message(1, "agent")));
  Wire.last.says(appended(9, message(2, "agent")));
  expect(Wire.last.sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(1_000);
  Wire.last.says({ type: "heartbeat", cursor: 12 });
  expect(Wire.last.sent).toEqual([{ type: "ack", cursor: 9 }, { type: "ack", cursor: 12 }]);
});

it("acknowledges only what was sent, though more was fetched", async () => {
  Wire.last.hello();
  Wire.last.says(appended(8, message(1, "agent")));
  cursor = 11;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(Wire.last.sent).toEqual([{ type: "ack", cursor: 8 }]);
});

it("renews its token in the last quarter of its time, however often that fails", async () => {
  Wire.last.says({ type: "hello", cursor: 0, heartbeat_seconds: 10, valid_seconds: 20 });
  answer = later;
  await vi.advanceTimersByTimeAsync(16_100);
  expect(Wire.last.sent).toEqual([]);
  answer = ok({ token: "next" });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(Wire.last.sent).toEqual([{ type: "renew", token: "next" }]);
  expect(Wire.all).toHaveLength(1);
});

it("survives garbage", () => {
  Wire.last.hello();
  Wire.last.onmessage?.({ data: "not json" } as MessageEvent);
  expect(live).toEqual([true]);
});

it("stays closed when stopped", async () => {
  Wire.last.hello();
  connection.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(Wire.all).toHaveLength(1);
  expect(live).toEqual([true, false]);
});

describe("where no socket gets through", () => {
  beforeEach(async () => {
    for (let failures = 0; failures < 2; failures += 1) {
      Wire.last.breaks();
      await vi.advanceTimersByTimeAsync(1_000);
    }
  });

  it("takes a stream after two that never greeted, and says by requests what it has to say", () => {
    expect(kinds()).toEqual(["socket", "socket", "stream"]);
    Wire.last.hello();
    connection.send({ type: "typing", conversation_id: "c", is_typing: true });
    expect(posted).toHaveLength(1);
    expect(Wire.last.sent).toEqual([]);
  });

  it("comes back with a stream for some minutes, then tries a socket", async () => {
    Wire.last.hello();
    Wire.last.breaks();
    await vi.advanceTimersByTimeAsync(2_500);
    expect(kinds().at(-1)).toBe("stream");
    Wire.last.hello();
    vi.setSystemTime(Date.now() + 5 * 60_000);
    Wire.last.breaks();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(kinds().at(-1)).toBe("socket");
    Wire.last.breaks();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(kinds().at(-1)).toBe("stream");
  });
});

it("blames no proxy when the server can't be asked at all", async () => {
  Wire.last.breaks();
  answer = later;
  await vi.advanceTimersByTimeAsync(60_000);
  answer = ok({ token: "t" });
  await vi.advanceTimersByTimeAsync(15_000);
  expect(kinds().at(-1)).toBe("socket");
});
