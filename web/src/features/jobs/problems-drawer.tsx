import { Stack, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import type { Job } from "@/platform/api/types";
import { ShowMore, SideDrawer } from "@/ui/side-drawer";
import { Failed, Loading } from "@/ui/states";
import styles from "./jobs.module.css";
import { problemsQuery } from "./queries";

/** What a job left out, and why. */
export function ProblemsDrawer({ job, onClose }: { job: Job | null; onClose(): void }) {
  return (
    <SideDrawer title="What was left out" close="Close the problems" onClose={onClose}>
      {job && <Problems job={job} />}
    </SideDrawer>
  );
}

function Problems({ job }: { job: Job }) {
  const found = useInfiniteQuery(problemsQuery(job.id));
  if (found.isPending) return <Loading label="Loading problems" />;
  if (found.isError) return <Failed what="The problems could not be loaded" error={found.error} onRetry={() => void found.refetch()} />;
  const problems = found.data.pages.flatMap((page) => page.items);
  return (
    <Stack gap="md">
      <Text c="dimmed">
        The rest was dealt with. {job.kind === "import_conversations" && "Correct these lines and import the file again: what is here already is not imported twice."}
      </Text>
      <ol className={styles.problems} aria-label="Problems">
        {problems.map(({ number, subject, reason }) => (
          <li key={number}>
            <Text size="sm" fw={600}>{subject || `Line ${number.toLocaleString()}`}</Text>
            <Text size="sm" className={styles.reason}>{reason}</Text>
          </li>
        ))}
      </ol>
      <ShowMore of={found} />
      {!found.hasNextPage && problems.length < job.problems && (
        <Text size="sm" c="dimmed">Only the first {problems.length.toLocaleString()} of {job.problems.toLocaleString()} were kept.</Text>
      )}
    </Stack>
  );
}
