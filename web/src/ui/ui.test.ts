import { expect, it } from "vitest";
import { linkParts } from "./link-parts";
import { initials } from "./person";
import { age, dayName, isSameDay } from "./time";

const noon = new Date(2026, 4, 12, 12, 0).getTime();
const before = (hours: number) => new Date(noon - hours * 3_600_000).toISOString();

it("tells ages shortly", () => {
  expect([0, 0.1, 3].map((hours) => age(before(hours), noon))).toEqual(["now", "6m", "3h"]);
});

it("names days as people do", () => {
  expect([1, 20].map((hours) => dayName(before(hours), noon))).toEqual(["Today", "Yesterday"]);
  expect(isSameDay(before(1), before(20))).toBe(false);
});

it("makes initials of any name", () => {
  expect(["Maya Okafor", "Maya", " ", "李 小龙", "Anna von der Heide"].map(initials)).toEqual(["MO", "M", "?", "李小", "AH"]);
});

function links(text: string): string[] {
  return linkParts(text).filter(({ isLink }) => isLink).map((part) => part.text);
}

it("links addresses of pages and nothing else", () => {
  expect(links("See https://dana.example/a?b=1. Or (http://x.example/y)!")).toEqual(["https://dana.example/a?b=1", "http://x.example/y"]);
  expect(links("javascript:alert(1) and www.example.com")).toEqual([]);
  expect(linkParts("a https://b.example c").map((part) => part.text).join("")).toBe("a https://b.example c");
});
