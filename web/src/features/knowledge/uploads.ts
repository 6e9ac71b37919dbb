import type { QueryClient } from "@tanstack/react-query";
import { Problem } from "@/platform/api/problem";
import type { Document } from "@/platform/api/types";
import { accessToken } from "@/platform/session/refresh";
import { createStore } from "@/platform/store";
import { explain } from "@/platform/api/problem";
import { putDocument } from "./events";

/** A file on its way to the server. Once it has arrived it is a document and leaves this list. */
export interface Upload {
  key: string;
  file: File;
  state: "waiting" | "sending" | "failed";
  /** From 0 to 1. */
  sent: number;
  error: string | null;
}

export const LARGEST_BYTES = 25 * 1024 * 1024;
export const ACCEPTED = [".md", ".mdx", ".txt", ".html", ".htm", ".pdf", ".docx", ".csv"];
/** More at once would only wait for each other on the way. */
const AT_ONCE = 3;

export const uploads = createStore<readonly Upload[]>([]);

export function upload(cache: QueryClient, files: readonly File[]): void {
  const added = files.map((file) => ({ key: crypto.randomUUID(), file, sent: 0, ...checked(file) }));
  uploads.set((before) => [...before, ...added]);
  fill(cache);
}

export function uploadAgain(cache: QueryClient, one: Upload): void {
  change(one.key, { sent: 0, ...checked(one.file) });
  fill(cache);
}

export function dismiss(key: string): void {
  uploads.set((before) => before.filter((one) => one.key !== key));
}

function checked(file: File): Pick<Upload, "state" | "error"> {
  const error = refusal(file);
  return { state: error ? "failed" : "waiting", error };
}

/** Why a file can't be taken, known before it is sent; null when it may be. */
export function refusal(file: Pick<File, "name" | "size">): string | null {
  if (file.size === 0) return "The file is empty.";
  if (file.size > LARGEST_BYTES) return "The file is larger than 25 MB.";
  const isKnown = ACCEPTED.some((ending) => file.name.toLowerCase().endsWith(ending));
  return isKnown ? null : `This kind of file can't be read. Use ${ACCEPTED.join(", ")}.`;
}

function fill(cache: QueryClient): void {
  const all = uploads.get();
  const free = AT_ONCE - all.filter(({ state }) => state === "sending").length;
  for (const one of all.filter(({ state }) => state === "waiting").slice(0, Math.max(free, 0))) void run(cache, one);
}

async function run(cache: QueryClient, one: Upload): Promise<void> {
  change(one.key, { state: "sending" });
  try {
    const document = await post(one, false).catch((error: unknown) => {
      if (error instanceof Problem && error.status === 401) return post(one, true);
      throw error;
    });
    putDocument(cache, document);
    dismiss(one.key);
  } catch (error) {
    change(one.key, { state: "failed", error: explain(error) });
  }
  fill(cache);
}

/** XMLHttpRequest, because fetch can't say how much of the body has been sent. */
async function post(one: Upload, isTokenRefused: boolean): Promise<Document> {
  const token = await accessToken(isTokenRefused);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/v1/knowledge/documents");
    request.setRequestHeader("authorization", `Bearer ${token}`);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => change(one.key, { sent: total ? loaded / total : 0 }));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(request.response as Document);
      else reject(new Problem(request.status, request.response, request.getResponseHeader("retry-after")));
    });
    request.addEventListener("error", () => reject(new Problem(0, null)));
    const form = new FormData();
    form.append("file", one.file, one.file.name);
    request.send(form);
  });
}

function change(key: string, part: Partial<Upload>): void {
  uploads.set((before) => before.map((one) => (one.key === key ? { ...one, ...part } : one)));
}
