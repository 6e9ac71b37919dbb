import type { Job } from "@/platform/api/types";

interface Kind {
  name: string;
  /** What is counted: one, and many. */
  units: [one: string, many: string];
  /** What was done to them. */
  done: string;
}

const KINDS: Record<string, Kind> = {
  delete_conversations: { name: "Delete", units: ["conversation", "conversations"], done: "deleted" },
  export_conversations: { name: "Export", units: ["conversation", "conversations"], done: "looked at" },
  import_conversations: { name: "Import", units: ["line", "lines"], done: "read" },
  reindex_knowledge: { name: "Re-index", units: ["document", "documents"], done: "indexed" },
};

export const STATES: Record<Job["state"], { name: string; color: string }> = {
  queued: { name: "Waiting", color: "gray" },
  running: { name: "Running", color: "tide" },
  done: { name: "Done", color: "teal" },
  failed: { name: "Failed", color: "red" },
  cancelled: { name: "Cancelled", color: "gray" },
};

/** A kind that a newer server has is still shown, by its own name. */
export function kindOf(job: Pick<Job, "kind">): Kind {
  return KINDS[job.kind] ?? { name: job.kind.replaceAll("_", " "), units: ["step", "steps"], done: "done" };
}

export function isActive(job: Pick<Job, "state">): boolean {
  return job.state === "queued" || job.state === "running";
}

/** From 0 to 100; null while nobody knows how much there is. */
export function percent(job: Pick<Job, "done" | "total">): number | null {
  if (job.total === null) return null;
  return job.total === 0 ? 100 : Math.min(100, Math.floor((job.done / job.total) * 100));
}

/** How far a job is, or has come: "1,200 of 100,000 conversations deleted". */
export function progressOf(job: Pick<Job, "kind" | "state" | "done" | "total">): string {
  const { units: [one, many], done } = kindOf(job);
  if (job.state === "queued") return "Begins as soon as it is its turn";
  const unit = (job.total ?? job.done) === 1 ? one : many;
  if (job.state === "done" || job.total === null) return `${job.done.toLocaleString()} ${job.done === 1 ? one : many} ${done}`;
  return `${job.done.toLocaleString()} of ${job.total.toLocaleString()} ${unit} ${done}`;
}

export function hasFile(job: Pick<Job, "state" | "file_expires_at">, now: number): boolean {
  return job.state === "done" && job.file_expires_at !== null && Date.parse(job.file_expires_at) > now;
}
