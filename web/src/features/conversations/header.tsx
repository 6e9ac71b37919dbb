import { ActionIcon, Badge, Button, Text, Title, Tooltip } from "@mantine/core";
import { IconArrowLeft, IconCheck, IconHandStop, IconRotate } from "@tabler/icons-react";
import type { Conversation, Member } from "@/platform/api/types";
import { PresenceDot } from "@/ui/presence";
import { fullTime } from "@/ui/time";
import type { useAct } from "./actions";
import { AssignMenu } from "./assign-menu";
import { Company, useCustomerPresence } from "./company";
import styles from "./pane.module.css";
import { SnoozeMenu } from "./snooze-menu";
import { contactName, STATUS_COLORS, STATUS_NAMES } from "./words";

interface Props {
  conversation: Conversation;
  members: readonly Member[];
  act: ReturnType<typeof useAct>;
  onClose(): void;
}

export function PaneHeader({ conversation, members, act, onClose }: Props) {
  return (
    <header className={styles.header}>
      <ActionIcon className={styles.back} variant="subtle" color="gray" aria-label="Back to the list" onClick={onClose}>
        <IconArrowLeft size={20} />
      </ActionIcon>
      <div className={styles.who}>
        <div className={styles.title}>
          <Title order={2} size="h3" className={styles.name}>{contactName(conversation)}</Title>
          <PresenceDot state={useCustomerPresence(conversation.id)} />
        </div>
        <Text size="xs" c="dimmed" className={styles.name}>{subtitle(conversation)}</Text>
      </div>
      <Company conversationId={conversation.id} />
      <Badge variant="light" color={STATUS_COLORS[conversation.status]} tt="none" fw={550}>
        {STATUS_NAMES[conversation.status]}
      </Badge>
      <div className={styles.actions}>
        <AssignMenu conversation={conversation} members={members} onAssign={(assigneeId) => act.mutate({ verb: "assign", assigneeId })} />
        {conversation.status !== "resolved" && <SnoozeMenu onSnooze={(until) => act.mutate({ verb: "snooze", until })} />}
        <MainAction conversation={conversation} act={act} />
      </div>
    </header>
  );
}

function MainAction({ conversation, act }: Pick<Props, "conversation" | "act">) {
  const doing = act.isPending ? act.variables.verb : null;
  if (conversation.status === "resolved") {
    return (
      <Button variant="default" leftSection={<IconRotate size={16} />} loading={doing === "reopen"} onClick={() => act.mutate({ verb: "reopen" })}>
        Reopen
      </Button>
    );
  }
  if (conversation.status === "pending") {
    return (
      <Tooltip label="The assistant stops; the conversation is yours (T)">
        <Button leftSection={<IconHandStop size={16} />} loading={doing === "take-over"} onClick={() => act.mutate({ verb: "take-over" })}>
          Take over
        </Button>
      </Tooltip>
    );
  }
  return (
    <>
      {!conversation.assignee_id && (
        <Button variant="light" loading={doing === "take-over"} onClick={() => act.mutate({ verb: "take-over" })}>
          Take over
        </Button>
      )}
      <Tooltip label="Done; it reopens when the customer writes again (E)">
        <Button leftSection={<IconCheck size={16} />} loading={doing === "resolve"} onClick={() => act.mutate({ verb: "resolve" })}>
          Resolve
        </Button>
      </Tooltip>
    </>
  );
}

function subtitle({ status, assignee_name, snoozed_until }: Conversation): string {
  if (status === "snoozed" && snoozed_until) return `Sleeps until ${fullTime(snoozed_until)}`;
  if (status === "pending") return "The assistant is answering";
  if (assignee_name) return `Assigned to ${assignee_name}`;
  return status === "open" ? "Waiting for a person" : "Assigned to nobody";
}
