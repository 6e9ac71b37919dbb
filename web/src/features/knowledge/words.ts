import type { Document } from "@/platform/api/types";

export const STATUS: Record<Document["status"], { name: string; color: string }> = {
  queued: { name: "Waiting", color: "gray" },
  parsing: { name: "Reading", color: "tide" },
  indexing: { name: "Indexing", color: "tide" },
  searchable: { name: "Searchable", color: "teal" },
  failed: { name: "Failed", color: "red" },
};

export function isUnderway(document: Document): boolean {
  return document.status !== "searchable" && document.status !== "failed";
}

export function fileSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}
