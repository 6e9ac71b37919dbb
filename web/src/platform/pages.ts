import type { InfiniteData } from "@tanstack/react-query";

/** A page of a list that the API cuts into pages. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
  /** What it ended with when it was fetched, and the next page begins after, wherever that has gone since. */
  end?: T | undefined;
}

export type Pages<P> = InfiniteData<P, string | undefined>;

/** Note where a page ends that was just fetched. */
export function withEnd<P extends Page<unknown>>(page: P): P & { end: P["items"][number] | undefined } {
  return { ...page, end: page.items.at(-1) };
}

/** Put something new where a fetched list would have it: pure. What comes with a page not yet loaded stays out. */
export function insert<T, P extends Page<T>>(pages: Pages<P>, item: T, isBefore: (one: T, other: T) => boolean): Pages<P> {
  const at = pages.pages.findIndex(
    ({ items, next_cursor, end }) => !next_cursor || items.some((other) => isBefore(item, other)) || (end && !isBefore(end, item)),
  );
  if (at < 0) return pages;
  return { ...pages, pages: pages.pages.map((page, index) => (index === at ? { ...page, items: placed(page.items, item, isBefore) } : page)) };
}

/** Leave out what is gone: pure, and the same object when nothing is. */
export function without<P extends Page<unknown>>(pages: Pages<P>, isGone: (item: P["items"][number]) => boolean): Pages<P> {
  if (!pages.pages.some((page) => page.items.some(isGone))) return pages;
  return { ...pages, pages: pages.pages.map((page) => ({ ...page, items: page.items.filter((item) => !isGone(item)) })) };
}

/** Put something into a list that is kept in an order: pure. */
export function placed<T>(items: readonly T[], item: T, isBefore: (one: T, other: T) => boolean): T[] {
  const at = items.findIndex((other) => isBefore(item, other));
  return at < 0 ? [...items, item] : items.toSpliced(at, 0, item);
}
