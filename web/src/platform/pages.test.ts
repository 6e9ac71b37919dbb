import { expect, it } from "vitest";
import { insert, type Pages, placed, withEnd, without } from "./pages";
import { compareTimes } from "./times";

const isBefore = (one: number, other: number) => one > other;

/** A list of numbers, greatest first, of which the server has more. */
function fetched(...items: number[]): Pages<{ items: number[]; next_cursor: string | null }> {
  return { pages: [withEnd({ items, next_cursor: "more" })], pageParams: [undefined] };
}

const shown = (pages: Pages<{ items: number[]; next_cursor: string | null }>) => pages.pages.flatMap(({ items }) => items);

const put = (pages: Pages<{ items: number[]; next_cursor: string | null }>, item: number) => insert(pages, item, isBefore);

it("puts in what belongs before the end of what is loaded, and leaves out the rest", () => {
  expect(shown(put(fetched(9, 5, 3), 7))).toEqual([9, 7, 5, 3]);
  expect(shown(put(fetched(9, 5, 3), 1))).toEqual([9, 5, 3]);
});

it("knows where the next page begins, also when nothing of this one is left", () => {
  const emptied = without(fetched(9, 5, 3), () => true);
  expect(shown(put(emptied, 4))).toEqual([4]);
  expect(shown(put(emptied, 3))).toEqual([3]);
  expect(shown(put(emptied, 2))).toEqual([]);
});

it("puts what comes last at the end", () => expect(placed([9, 5], 3, isBefore)).toEqual([9, 5, 3]));

it("tells times apart that differ by a microsecond", () => {
  const times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.0001Z", "2026-01-01T00:00:01Z"];
  expect(times.toSorted(compareTimes)).toEqual(times);
  expect(times.toReversed().toSorted(compareTimes)).toEqual(times);
});
