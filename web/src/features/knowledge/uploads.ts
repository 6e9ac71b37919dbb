import type { QueryClient } from "@tanstack/react-query";
import { explain, Problem } from "@/platform/api/problem";
import type { Document } from "@/platform/api/types";
import { backoffMs } from "@/platform/realtime/backoff";
import { accessToken } from "@/platform/session/refresh";
import { createStore } from "@/platform/store";
import { putDocument } from "./events";

/** A file on its way to the server. Once it has arrived it is a document and leaves this list. */
export interface Upload {
  key: string;
  file: File;
  /** `refused` is final: the same file would be refused again. */
  state: "waiting" | "sending" | "failed" | "refused";
  /** From 0 to 1. */
  sent: number;
  error: string | null;
}

export const LARGEST_BYTES = 25 * 1024 * 1024;
export const ACCEPTED = [".md", ".mdx", ".txt", ".html", ".htm", ".pdf", ".docx", ".csv"];
/** More at once would only wait for each other on the way. */
const AT_ONCE = 3;
/** How often a busy server is asked again before the person is. */
const ATTEMPTS = 6;

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
  return { state: error ? "refused" : "waiting", error };
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
    putDocument(cache, await deliver(one, 0));
    dismiss(one.key);
  } catch (error) {
    change(one.key, { state: "failed", error: explain(error) });
  }
  fill(cache);
}

/** Send, and send again with a new token, or when the server is only busy. It refused then, so nothing comes twice. */
async function deliver(one: Upload, attempt: number): Promise<Document> {
  try {
    return await post(one, false);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) return post(one, true);
    if ((error.status !== 429 && error.status !== 503) || attempt + 1 === ATTEMPTS) throw error;
    const waitMs = (error.retryAfterSeconds ?? 0) * 1000 || backoffMs(attempt + 1);
    await new Promise((wake) => setTimeout(wake, waitMs));
    return deliver(one, attempt + 1);
  }
}

/** XMLHttpRequest, because fetch can't say how much of the body has been sent. */
async function post(one: Upload, isTokenRefused: boolean): Promise<Document> {
  const token = await accessToken(isTokenRefused ? Number.POSITIVE_INFINITY : undefined);
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
