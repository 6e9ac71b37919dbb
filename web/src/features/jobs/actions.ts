import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "@/platform/api/client";
import type { Choice, Job } from "@/platform/api/types";
import { notifyFailed } from "@/ui/notify";
import { download } from "./download";
import { putJob } from "./events";

/** What a person may ask for here. Each answers with the job, which then goes on by itself. */
export type Asked =
  | { kind: "delete" | "export"; choice: Choice }
  | { kind: "import"; file: File; inboxId: string };

/** Ask for a job. The same form sent twice, as after a lost answer, is one job. */
export function useAsk(onAsked: () => void) {
  const cache = useQueryClient();
  const [key] = useState(() => crypto.randomUUID());
  return useMutation({
    mutationFn: (asked: Asked) => ask(asked, key),
    onSuccess: (job) => {
      putJob(cache, job);
      onAsked();
    },
  });
}

export function useCancel(job: Job) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/jobs/{job_id}/cancel", { params: { path: { job_id: job.id } } })),
    onSuccess: (cancelled) => putJob(cache, cancelled),
    onError: (error) => notifyFailed("The job was not cancelled", error),
  });
}

export function useDownload(job: Job, part: "file" | "manifest") {
  return useMutation({
    mutationFn: () => download(job, part),
    onError: (error) => notifyFailed("The file could not be fetched", error),
  });
}

function ask(asked: Asked, key: string): Promise<Job> {
  const params = { header: { "Idempotency-Key": key } };
  switch (asked.kind) {
    case "delete":
      return unwrap(api.POST("/api/v1/conversations/deletions", { params, body: asked.choice }));
    case "export":
      return unwrap(api.POST("/api/v1/conversations/exports", { params, body: asked.choice }));
    case "import":
      return unwrap(
        api.POST("/api/v1/conversations/imports", {
          params,
          body: { file: asked.file.name, inbox_id: asked.inboxId },
          bodySerializer: () => upload(asked.file, asked.inboxId),
        }),
      );
  }
}

function upload(file: File, inboxId: string): FormData {
  const form = new FormData();
  form.append("inbox_id", inboxId);
  form.append("file", file, file.name);
  return form;
}
