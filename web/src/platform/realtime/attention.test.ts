import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { watchAttention } from "./attention";

class FakePage extends EventTarget {
  visibilityState: DocumentVisibilityState = "visible";
  shows(state: DocumentVisibilityState): void {
    this.visibilityState = state;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

const MINUTE_MS = 60_000;
let page: FakePage;
let told: boolean[];
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  page = new FakePage();
  vi.stubGlobal("document", page);
  told = [];
  stop = watchAttention((isActive) => told.at(-1) !== isActive && told.push(isActive));
});
afterEach(() => {
  stop();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

it("takes five minutes without a key or a pointer for an empty chair", () => {
  vi.advanceTimersByTime(4 * MINUTE_MS);
  page.dispatchEvent(new Event("keydown"));
  vi.advanceTimersByTime(4 * MINUTE_MS);
  expect(told).toEqual([true]);
  vi.advanceTimersByTime(1.1 * MINUTE_MS);
  expect(told).toEqual([true, false]);
  page.dispatchEvent(new Event("pointermove"));
  expect(told).toEqual([true, false, true]);
});

it("takes a page that nobody sees for an empty chair at once, and who turns to it for somebody", () => {
  page.shows("hidden");
  expect(told).toEqual([true, false]);
  vi.advanceTimersByTime(10 * MINUTE_MS);
  page.shows("visible");
  expect(told).toEqual([true, false, true]);
});
