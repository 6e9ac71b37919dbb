import { Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import type { Conversation } from "@/platform/api/types";
import { Person } from "@/ui/person";
import { fullTime } from "@/ui/time";
import styles from "./pane.module.css";
import { contactName, STATUS_NAMES } from "./words";

/** Who the customer is and where the conversation stands; on wide screens only, as all else says it too. */
export function Details({ conversation, inboxName }: { conversation: Conversation; inboxName: string | null }) {
  const name = contactName(conversation);
  return (
    <aside className={styles.details} aria-label="Details">
      <Stack align="center" gap={6}>
        <Person name={name} id={conversation.contact.id} size={56} />
        <Title order={2} ta="center" style={{ overflowWrap: "anywhere" }}>{name}</Title>
        {conversation.contact.email && <Text size="sm" c="dimmed">{conversation.contact.email}</Text>}
      </Stack>
      <dl className={styles.facts}>
        <Fact name="Status">{STATUS_NAMES[conversation.status]}</Fact>
        <Fact name="Assigned to">{conversation.assignee_name ?? "Nobody"}</Fact>
        {inboxName && <Fact name="Inbox">{inboxName}</Fact>}
        <Fact name="Started">{fullTime(conversation.created_at)}</Fact>
        <Fact name="Messages">{conversation.last_seq}</Fact>
      </dl>
    </aside>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
