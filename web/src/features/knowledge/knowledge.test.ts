import { QueryClient } from "@tanstack/react-query";
import { expect, it } from "vitest";
import type { Document } from "@/platform/api/types";
import { applyEvent } from "./events";
import { type DocumentPages, keys } from "./queries";
import { refusal } from "./uploads";

function document(id: string, part: Partial<Document> = {}): Document {
  return {
    id,
    title: id,
    filename: `${id}.md`,
    media_type: "text/markdown",
    size_bytes: 10,
    status: "queued",
    progress: 0,
    passages: 0,
    error: null,
    version: 1,
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:00Z",
    ...part,
  };
}

function cacheWith(...items: Document[]): QueryClient {
  const cache = new QueryClient();
  cache.setQueryData<DocumentPages>(keys.documents, { pages: [{ items, next_cursor: null }], pageParams: [undefined] });
  return cache;
}

const shown = (cache: QueryClient) => cache.getQueryData<DocumentPages>(keys.documents)?.pages.flatMap((page) => page.items);

it("follows a document to searchable, and never backwards", () => {
  const cache = cacheWith(document("a"));
  for (const [version, status] of [[2, "parsing"], [4, "searchable"], [3, "indexing"]] as const) {
    applyEvent(cache, { type: "document_changed", document: document("a", { version, status }) });
  }
  expect(shown(cache)).toEqual([document("a", { version: 4, status: "searchable" })]);
});

it("puts a new document where a fetched list would have it, once", () => {
  const cache = cacheWith(document("2-old"));
  const fresh = document("3-new", { created_at: "2026-01-02T00:00:00Z" });
  applyEvent(cache, { type: "document_queued", document: fresh });
  applyEvent(cache, { type: "document_queued", document: fresh });
  expect(shown(cache)?.map(({ id }) => id)).toEqual(["3-new", "2-old"]);
});

it("drops a deleted document", () => {
  const cache = cacheWith(document("a"), document("b"));
  applyEvent(cache, { type: "document_deleted", document_id: "a" });
  expect(shown(cache)?.map(({ id }) => id)).toEqual(["b"]);
});

it("refuses before sending what the server would refuse, with the reason", () => {
  expect(refusal({ name: "guide.MD", size: 10 })).toBeNull();
  expect(refusal({ name: "guide.md", size: 0 })).toMatch(/empty/u);
  expect(refusal({ name: "guide.md", size: 26 * 1024 * 1024 })).toMatch(/25 MB/u);
  expect(refusal({ name: "photo.png", size: 10 })).toMatch(/can't be read/u);
});
