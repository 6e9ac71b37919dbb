import { beforeEach, expect, it } from "vitest";
import type { Session } from "@/platform/api/types";
import { session } from "@/platform/session/session";
import { keepPosition, receivePosition, sendPosition } from "./position";

const EARLY = "00000001-00000001-0000000000000010";
const LATE = "00000001-00000001-0000000000000020";
const MOVED = "00000002-00000001-0000000000000001";

let organizations = 0;

function sent(): string | null {
  const headers = new Headers();
  sendPosition(headers);
  return headers.get("dana-position");
}

beforeEach(() => {
  organizations += 1;
  session.set({ organization_id: `organization-${organizations}` } as Session);
});

it("says that it carries positions before it has one", () => {
  expect(sent()).toBe("any");
});

it("keeps the latest, in whatever order answers arrive", () => {
  receivePosition(new Headers({ "dana-position": LATE }));
  receivePosition(new Headers({ "dana-position": EARLY }));
  receivePosition(new Headers());
  expect(sent()).toBe(LATE);
});

it("takes a position after a move for a later one, whatever its place in the new log", () => {
  keepPosition(LATE);
  keepPosition(MOVED);
  expect(sent()).toBe(MOVED);
});

it("has one for each organization, and sends none while nobody is signed in", () => {
  keepPosition(LATE);
  session.set({ organization_id: "another" } as Session);
  expect(sent()).toBe("any");
  session.set(null);
  expect(sent()).toBeNull();
});
