import { authorized } from "@/platform/api/client";
import { Problem } from "@/platform/api/problem";
import type { Job } from "@/platform/api/types";

/** Fetch a part of an export with the access token, and hand it to the browser as a file. */
export async function download(job: Job, part: "file" | "manifest"): Promise<void> {
  const address = `/api/v1/conversations/exports/${job.id}/${part}`;
  const response = await authorized(new Request(new URL(address, window.location.href)));
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => null));
  save(await response.blob(), fileName(job, part));
}

export function fileName(job: Pick<Job, "created_at">, part: "file" | "manifest"): string {
  const day = job.created_at.slice(0, 10);
  return part === "file" ? `conversations-${day}.jsonl.gz` : `conversations-${day}.manifest.json`;
}

function save(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
