import { Badge, Button, Card, Group, Modal, SimpleGrid, Skeleton, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { IconMessages, IconPlus, IconSettings } from "@tabler/icons-react";
import { useState } from "react";
import type { Inbox } from "@/platform/api/types";
import { useIsAdmin } from "@/platform/session/session";
import { Page } from "@/ui/page";
import { Empty, Failed } from "@/ui/states";
import { useChangeInbox, useCreateInbox } from "./actions";
import { InboxForm, NEW_INBOX } from "./inbox-form";
import { inboxesQuery } from "./queries";
import { Snippet } from "./snippet";

/** The places where conversations arrive. */
export function InboxesPage() {
  const isAdmin = useIsAdmin();
  const found = useQuery(inboxesQuery());
  const [isCreating, creating] = useDisclosure(false);
  const create = isAdmin && <Button leftSection={<IconPlus size={16} />} onClick={creating.open}>New inbox</Button>;
  return (
    <Page title="Inboxes" about="Each inbox is a place where conversations arrive, such as the chat on one website." actions={create}>
      {found.isPending && <Skeleton h={180} role="status" aria-label="Loading inboxes" />}
      {found.isError && <Failed what="The inboxes could not be loaded" error={found.error} onRetry={() => void found.refetch()} />}
      {found.data?.length === 0 && (
        <Empty icon={IconMessages} title="No inbox yet" action={create}>
          {isAdmin ? "Create one to get the snippet for your website, and a demo page to try the chat on." : "An administrator of your organization can create one."}
        </Empty>
      )}
      <SimpleGrid cols={{ base: 1 }} spacing="lg">
        {found.data?.map((inbox) => <InboxCard key={inbox.id} inbox={inbox} isAdmin={isAdmin} />)}
      </SimpleGrid>
      <CreateModal isOpen={isCreating} onClose={creating.close} />
    </Page>
  );
}

function InboxCard({ inbox, isAdmin }: { inbox: Inbox; isAdmin: boolean }) {
  const [isChanging, changing] = useDisclosure(false);
  return (
    <Card withBorder padding="lg" component="article" aria-label={inbox.name}>
      <Group justify="space-between" mb="md" wrap="nowrap" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Title order={2} style={{ overflowWrap: "anywhere" }}>{inbox.name}</Title>
          <Text size="sm" c="dimmed">{inbox.greeting || "No greeting"}</Text>
        </div>
        <Group gap="xs" wrap="nowrap">
          <Badge variant="light" color={inbox.is_assistant_enabled ? "teal" : "gray"} tt="none" fw={550}>
            {inbox.is_assistant_enabled ? "Assistant on" : "Assistant off"}
          </Badge>
          {isAdmin && (
            <Button variant="default" size="xs" leftSection={<IconSettings size={15} />} onClick={changing.open}>Settings</Button>
          )}
        </Group>
      </Group>
      <Snippet inbox={inbox} />
      <ChangeModal inbox={inbox} isOpen={isChanging} onClose={changing.close} />
    </Card>
  );
}

function ChangeModal({ inbox, isOpen, onClose }: { inbox: Inbox; isOpen: boolean; onClose(): void }) {
  const change = useChangeInbox(inbox.id, onClose);
  return (
    <Modal opened={isOpen} onClose={onClose} title="Inbox settings" closeButtonProps={{ "aria-label": "Close" }}>
      <InboxForm initial={inboxSettings(inbox)} verb="Save" isBusy={change.isPending} onSubmit={change.mutate} />
    </Modal>
  );
}

function CreateModal({ isOpen, onClose }: { isOpen: boolean; onClose(): void }) {
  const [created, setCreated] = useState<Inbox | null>(null);
  const create = useCreateInbox(setCreated);
  const close = () => {
    onClose();
    setCreated(null);
  };
  return (
    <Modal opened={isOpen} onClose={close} size="lg" title={created ? `${created.name} is ready` : "New inbox"} closeButtonProps={{ "aria-label": "Close" }}>
      {created ? <Snippet inbox={created} /> : <InboxForm initial={NEW_INBOX} verb="Create the inbox" isBusy={create.isPending} onSubmit={create.mutate} />}
    </Modal>
  );
}

function inboxSettings({ name, greeting, is_assistant_enabled }: Inbox) {
  return { name, greeting, is_assistant_enabled };
}
