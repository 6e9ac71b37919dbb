import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { delayMs } from "../src/backoff";
import { Connection } from "../src/connection";
import { Wire } from "./examples";

const onRefused = vi.fn();
const live: boolean[] = [];
let connection: Connection;

beforeEach(() => {
  vi.useFakeTimers();
  Wire.all = [];
  live.length = 0;
  onRefused.mockReset();
  connection = new Connection({
    url: () => "ws://host/",
    open: (url) => new Wire(url) as unknown as WebSocket,
    random: () => 0,
    onFrame: () => undefined,
    onLive: (isLive) => live.push(isLive),
    onRefused,
  });
  connection.start();
});
afterEach(() => void vi.useRealTimers());

it("waits longer after every failure, up to half a minute", async () => {
  const pauses: number[] = [];
  for (let failures = 0; failures < 9; failures += 1) {
    Wire.last.breaks();
    const cutAt = Date.now();
    await vi.advanceTimersToNextTimerAsync();
    pauses.push(Date.now() - cutAt);
  }
  expect(pauses).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  expect(delayMs({ firstMs: 500, longestMs: 30_000 }, 50, () => 1)).toBe(30_000);
});

it("comes back at once after a restart", async () => {
  Wire.last.hello();
  Wire.last.breaks(1012);
  await vi.advanceTimersByTimeAsync(1);
  expect(Wire.all).toHaveLength(2);
});

it("stays away for a while when there are too many", async () => {
  Wire.last.breaks(4429);
  await vi.advanceTimersByTimeAsync(14_000);
  expect(Wire.all).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(Wire.all).toHaveLength(2);
});

it("asks about its token when the server refuses it", () => {
  Wire.last.breaks(4401);
  expect(onRefused).toHaveBeenCalledOnce();
});

it("gives up a socket that fell silent", async () => {
  Wire.last.hello();
  await vi.advanceTimersByTimeAsync(46_000);
  expect(live).toEqual([true, false]);
  expect(Wire.all.length).toBeGreaterThan(1);
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
