import type { QueryClient } from "@tanstack/react-query";
import type { Document } from "@/platform/api/types";
import { invalidateSoon, newer } from "@/platform/query";
import type { DanaEvent } from "@/platform/realtime/frames";
import { type DocumentPages, keys } from "./queries";

/** Bring the list of documents up to date with an event; what was searched before may be found otherwise now. */
export function applyEvent(cache: QueryClient, event: DanaEvent): void {
  if (event.type === "document_queued" || event.type === "document_changed") {
    putDocument(cache, event.document);
    if (event.document.status === "searchable") {
      invalidateSoon(cache, keys.searches);
      invalidateSoon(cache, keys.passages(event.document.id));
    }
  } else if (event.type === "document_deleted") {
    dropDocument(cache, event.document_id);
  }
}

export function putDocument(cache: QueryClient, document: Document): void {
  cache.setQueryData<DocumentPages>(keys.documents, (pages) => pages && placeDocument(pages, document));
}

export function dropDocument(cache: QueryClient, id: string): void {
  cache.setQueryData<DocumentPages>(keys.documents, (pages) => pages && withoutDocument(pages, id));
  cache.removeQueries({ queryKey: keys.passages(id) });
  invalidateSoon(cache, keys.searches);
}

/** Replace a document by its newer version, or put a new one at the top: pure. */
export function placeDocument(pages: DocumentPages, document: Document): DocumentPages {
  const isKnown = pages.pages.some((page) => page.items.some(({ id }) => id === document.id));
  if (isKnown) {
    return {
      ...pages,
      pages: pages.pages.map((page) => ({
        ...page,
        items: page.items.map((item) => (item.id === document.id ? newer(item, document) : item)),
      })),
    };
  }
  const [first, ...rest] = pages.pages;
  if (!first) return pages;
  const at = first.items.findIndex(({ created_at, id }) => isAfter(document, created_at, id));
  const items = at < 0 ? [...first.items, document] : first.items.toSpliced(at, 0, document);
  return { ...pages, pages: [{ ...first, items }, ...rest] };
}

export function withoutDocument(pages: DocumentPages, id: string): DocumentPages {
  return { ...pages, pages: pages.pages.map((page) => ({ ...page, items: page.items.filter((item) => item.id !== id) })) };
}

function isAfter(document: Document, createdAt: string, id: string): boolean {
  const [mine, other] = [Date.parse(document.created_at), Date.parse(createdAt)];
  return mine === other ? document.id > id : mine > other;
}
