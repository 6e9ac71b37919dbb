import { Grid, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useIsAdmin } from "@/platform/session/session";
import { Page } from "@/ui/page";
import { Failed } from "@/ui/states";
import { assistantQuery } from "./queries";
import { SettingsForm } from "./settings-form";
import { TryBox } from "./try-box";

export function AssistantPage() {
  const found = useQuery(assistantQuery());
  const isAdmin = useIsAdmin();
  return (
    <Page title="Assistant" about="How it answers, when it hands over, and which model it uses.">
      {found.isPending && <Skeleton h={320} role="status" aria-label="Loading the settings" />}
      {found.isError && <Failed what="The settings could not be loaded" error={found.error} onRetry={() => void found.refetch()} />}
      {found.data && (
        <Grid gap="xl">
          <Grid.Col span={{ base: 12, md: 6 }}><SettingsForm saved={found.data} isAdmin={isAdmin} /></Grid.Col>
          <Grid.Col span={{ base: 12, md: 6 }}><TryBox name={found.data.name} /></Grid.Col>
        </Grid>
      )}
    </Page>
  );
}
