import { Badge, Button, Card, Group, Progress, Stack, Text, ThemeIcon, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { IconCheck } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { countsQuery } from "@/features/conversations";
import { DemoLink, InboxForm, inboxesQuery, NEW_INBOX, Snippet, useCreateInbox } from "@/features/inboxes";
import { documentsQuery, DropArea, SampleButton, upload, UploadList } from "@/features/knowledge";
import type { Document, Inbox } from "@/platform/api/types";
import { useSession } from "@/platform/session/session";
import { Page } from "@/ui/page";

/** The first run: three steps, each done in place, each ticked by what is really there. */
export function WelcomePage() {
  const { user } = useSession();
  const documents = useInfiniteQuery(documentsQuery()).data?.pages.flatMap((page) => page.items) ?? [];
  const inboxes = useQuery(inboxesQuery()).data ?? [];
  const counts = useQuery(countsQuery()).data;
  const hasWritten = counts !== undefined && counts.open + counts.pending + counts.snoozed + counts.resolved > 0;
  const isKnowing = documents.some(({ status }) => status === "searchable");
  const steps = [isKnowing, inboxes.length > 0, hasWritten];
  const next = steps.indexOf(false);
  return (
    <Page title={`Welcome, ${firstName(user.name)}`} about="Three steps to the first answer. Each takes about a minute.">
      <Stack gap="md">
        <Step number={1} title="Teach the assistant" isDone={isKnowing} isNext={next === 0}>
          <Knowledge documents={documents} />
        </Step>
        <Step number={2} title="Create an inbox" isDone={inboxes.length > 0} isNext={next === 1}>
          <FirstInbox inbox={inboxes[0]} />
        </Step>
        <Step number={3} title="Write to yourself as a customer" isDone={hasWritten} isNext={next === 2}>
          <FirstConversation inbox={inboxes[0]} hasWritten={hasWritten} />
        </Step>
      </Stack>
    </Page>
  );
}

interface StepProps {
  number: number;
  title: string;
  isDone: boolean;
  isNext: boolean;
  children: ReactNode;
}

function Step({ number, title, isDone, isNext, children }: StepProps) {
  return (
    <Card withBorder padding="lg" component="section" aria-label={title} data-done={isDone || undefined}>
      <Group align="flex-start" wrap="nowrap" gap="md">
        <ThemeIcon size={32} radius="xl" color={isDone ? "teal.9" : undefined} variant={isDone || isNext ? "filled" : "light"}>
          {isDone ? <IconCheck size={18} aria-label="Done" /> : <Text component="span" fw={650}>{number}</Text>}
        </ThemeIcon>
        <Stack gap="sm" flex={1} miw={0}>
          <Group gap="xs"><Title order={2} mt={2}>{title}</Title>{isDone && <Badge variant="light" color="teal" tt="none" fw={550}>Done</Badge>}</Group>
          {children}
        </Stack>
      </Group>
    </Card>
  );
}

function Knowledge({ documents }: { documents: readonly Document[] }) {
  const cache = useQueryClient();
  const ready = documents.filter(({ status }) => status === "searchable").length;
  const failed = documents.filter(({ status }) => status === "failed").length;
  const way = documents.reduce((sum, { status, progress }) => sum + (status === "searchable" ? 1 : progress), 0);
  return (
    <>
      <Text c="dimmed">It answers only from your documents, word for word, and shows where it found the answer. What they don't cover, it hands over to you.</Text>
      {documents.length === 0 && (
        <>
          <DropArea onFiles={(files) => upload(cache, files)} />
          <Group gap="sm"><Text size="sm" c="dimmed">Nothing at hand?</Text><SampleButton variant="filled" /></Group>
        </>
      )}
      <UploadList />
      {documents.length > 0 && (
        <Group justify="space-between">
          <Text size="sm" role="status">
            {ready} of {documents.length} documents searchable{failed > 0 && `, ${failed} failed`}
          </Text>
          <Button component={Link} to="/knowledge" variant="default" size="xs">See the documents</Button>
        </Group>
      )}
      {documents.length > ready + failed && <Progress value={(way / documents.length) * 100} aria-label="Reading the documents" />}
    </>
  );
}

function FirstInbox({ inbox }: { inbox: Inbox | undefined }) {
  const create = useCreateInbox();
  return (
    <>
      <Text c="dimmed">An inbox is the chat on your website: one line of HTML puts it there.</Text>
      {inbox ? <Snippet inbox={inbox} /> : <InboxForm initial={NEW_INBOX} verb="Create the inbox" isBusy={create.isPending} onSubmit={create.mutate} />}
    </>
  );
}

function FirstConversation({ inbox, hasWritten }: { inbox: Inbox | undefined; hasWritten: boolean }) {
  return (
    <>
      <Text c="dimmed">
        Open the demo page, ask something your documents cover, and then something they don't. The second one lands in your inbox.
      </Text>
      <Group gap="xs">
        {inbox && <DemoLink inbox={inbox} variant={hasWritten ? "light" : "filled"} />}
        {inbox && <Button component={Link} to="/inbox" variant={hasWritten ? "filled" : "default"}>Go to the inbox</Button>}
        {!inbox && <Text size="sm" c="dimmed">Create the inbox first.</Text>}
      </Group>
    </>
  );
}

function firstName(name: string): string {
  return name.trim().split(/\s+/u)[0] ?? name;
}
