import { Button, Group, Skeleton, Stack } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { IconChecklist, IconLock } from "@tabler/icons-react";
import { useState } from "react";
import type { Inbox, Job } from "@/platform/api/types";
import { useIsAdmin } from "@/platform/session/session";
import { Page } from "@/ui/page";
import { Empty, Failed } from "@/ui/states";
import { JobRow } from "./job-row";
import styles from "./jobs.module.css";
import { ProblemsDrawer } from "./problems-drawer";
import { jobsQuery } from "./queries";
import { StartMenu } from "./start-menu";

/** What takes long: how far it is, who asked for it, and how to stop it. */
export function JobsPage({ inboxes }: { inboxes: readonly Inbox[] }) {
  const isAdmin = useIsAdmin();
  const start = isAdmin && <StartMenu inboxes={inboxes} />;
  return (
    <Page title="Jobs" about="Work that takes a while goes on here by itself, also when you close this page." actions={start}>
      {isAdmin ? <JobList /> : <Empty icon={IconLock} title="For administrators">An administrator of your organization sees here what is being exported, imported or deleted.</Empty>}
    </Page>
  );
}

function JobList() {
  const found = useInfiniteQuery(jobsQuery());
  const [opened, setOpened] = useState<Job | null>(null);
  if (found.isPending) return <Stack role="status" aria-label="Loading jobs">{[1, 2, 3].map((row) => <Skeleton key={row} h={72} />)}</Stack>;
  if (found.isError) return <Failed what="The jobs could not be loaded" error={found.error} onRetry={() => void found.refetch()} />;
  const jobs = found.data.pages.flatMap((page) => page.items);
  if (jobs.length === 0) return <NoJobs />;
  return (
    <section aria-label="All jobs">
      <ul className={styles.rows}>{jobs.map((job) => <JobRow key={job.id} job={job} onProblems={setOpened} />)}</ul>
      {found.hasNextPage && (
        <Group justify="center" mt="md">
          <Button variant="default" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>Show more</Button>
        </Group>
      )}
      <ProblemsDrawer job={opened} onClose={() => setOpened(null)} />
    </section>
  );
}

function NoJobs() {
  return (
    <Empty icon={IconChecklist} title="No job yet">
      Choose <b>New job</b> to export your conversations into a file, to bring in those of another tool, or to delete old ones. Each runs in
      small steps beside your daily work, shows how far it is, and can be cancelled.
    </Empty>
  );
}
