import { useQuery } from "@tanstack/react-query";
import { inboxesQuery } from "@/features/inboxes";
import { JobsPage } from "@/features/jobs";

export function JobsRoute() {
  const inboxes = useQuery(inboxesQuery());
  return <JobsPage inboxes={inboxes.data ?? []} />;
}
