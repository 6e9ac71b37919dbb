import { Badge, Button, Group, Progress, Text } from "@mantine/core";
import { IconBook2, IconDownload, IconFileExport, IconFileImport, IconListDetails, IconPlayerStop, IconTrash } from "@tabler/icons-react";
import { type ComponentType, memo } from "react";
import type { Job } from "@/platform/api/types";
import { Age, useNow } from "@/ui/age";
import { useConfirm } from "@/ui/confirm";
import { fullTime } from "@/ui/time";
import { useCancel, useDownload } from "./actions";
import styles from "./jobs.module.css";
import { hasFile, isActive, kindOf, percent, progressOf, STATES } from "./words";

const ICONS: Record<string, ComponentType<{ size?: number; stroke?: number; className?: string }>> = {
  delete_conversations: IconTrash,
  export_conversations: IconFileExport,
  import_conversations: IconFileImport,
  reindex_knowledge: IconBook2,
};

export const JobRow = memo(function JobRow({ job, onProblems }: { job: Job; onProblems(job: Job): void }) {
  const Icon = ICONS[job.kind] ?? IconListDetails;
  const { name, color } = STATES[job.state];
  return (
    <li className={styles.row} data-job={job.kind} data-state={job.state}>
      <Icon size={20} stroke={1.5} className={styles.icon} aria-hidden />
      <div className={styles.grow}>
        <Text fw={550} className={styles.title}>{kindOf(job).name}: {job.about}</Text>
        <Text size="xs" c="dimmed">{job.requested_by_name} · <Age of={job.created_at} /></Text>
        <HowFar job={job} />
        {job.error && <Text size="sm" mt={4} c="var(--mantine-color-error)">{job.error}</Text>}
      </div>
      <Badge variant="light" color={color} tt="none" fw={550} style={{ flex: "none" }}>{name}</Badge>
      <Actions job={job} onProblems={onProblems} />
    </li>
  );
});

function HowFar({ job }: { job: Job }) {
  const value = percent(job);
  const label = `${kindOf(job).name}: ${progressOf(job)}`;
  return (
    <>
      {isActive(job) && (
        <Progress.Root size="sm" mt={8} mb={4}>
          <Progress.Section value={value ?? 100} striped={value === null} animated={value === null} aria-label={label} aria-valuetext={label} />
        </Progress.Root>
      )}
      <Text size="sm" mt={2} className={styles.counted}>{progressOf(job)}</Text>
    </>
  );
}

function Actions({ job, onProblems }: { job: Job; onProblems(job: Job): void }) {
  const isThere = hasFile(job, useNow());
  if (!isThere && !isActive(job) && job.problems === 0) return null;
  return (
    <Group gap={6} className={styles.actions}>
      {job.problems > 0 && (
        <Button size="compact-sm" variant="default" onClick={() => onProblems(job)}>
          {job.problems.toLocaleString()} {job.problems === 1 ? "problem" : "problems"}
        </Button>
      )}
      {isThere && <Files job={job} />}
      {isActive(job) && <Cancel job={job} />}
    </Group>
  );
}

function Files({ job }: { job: Job }) {
  const file = useDownload(job, "file");
  const manifest = useDownload(job, "manifest");
  const until = job.file_expires_at ? fullTime(job.file_expires_at) : "";
  return (
    <>
      <Button size="compact-sm" variant="default" leftSection={<IconDownload size={14} />} title={`Kept until ${until}`} loading={file.isPending} onClick={() => file.mutate()}>
        Download
      </Button>
      <Button size="compact-sm" variant="subtle" title="What the file holds, with checksums" loading={manifest.isPending} onClick={() => manifest.mutate()}>
        Manifest
      </Button>
    </>
  );
}

function Cancel({ job }: { job: Job }) {
  const cancel = useCancel(job);
  const [question, ask] = useConfirm();
  const askToCancel = () =>
    ask({
      title: "Cancel this job?",
      text: "It ends after the step it is at. What was done until then stays done.",
      verb: "Cancel the job",
      no: "Let it go on",
      onYes: () => cancel.mutate(),
    });
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        leftSection={<IconPlayerStop size={14} />}
        loading={cancel.isPending}
        aria-label={`Cancel ${kindOf(job).name.toLowerCase()}: ${job.about}`}
        onClick={askToCancel}
      >
        Cancel
      </Button>
      {question}
    </>
  );
}
