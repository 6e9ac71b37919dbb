import type { QueryClient } from "@tanstack/react-query";
import type { Document } from "@/platform/api/types";
import { insert, without } from "@/platform/pages";
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
  cache.setQueryData<DocumentPages>(keys.documents, (pages) => pages && without(pages, (one) => one.id === id));
  cache.removeQueries({ queryKey: keys.passages(id) });
  invalidateSoon(cache, keys.searches);
}

/** Replace a document by its newer version, or put a new one where it belongs, newest first: pure. */
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
  return insert(pages, document, isBefore);
}

/** Ids are made in the order of time. */
function isBefore(one: Document, other: Document): boolean {
  return one.id > other.id;
}
