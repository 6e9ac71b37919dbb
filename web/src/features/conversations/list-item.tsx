import { Badge, UnstyledButton } from "@mantine/core";
import { memo } from "react";
import type { Conversation } from "@/platform/api/types";
import { activities } from "@/platform/realtime/ephemera";
import { useStore } from "@/platform/store";
import { Age } from "@/ui/age";
import { Person } from "@/ui/person";
import styles from "./list.module.css";
import { contactName, preview } from "./words";

interface Props {
  conversation: Conversation;
  inboxName: string | null;
  isSelected: boolean;
  onOpen(id: string): void;
}

export const ListItem = memo(function ListItem({ conversation, inboxName, isSelected, onOpen }: Props) {
  const unread = conversation.unread_count;
  const isTyping = useIsCustomerTyping(conversation.id);
  const name = contactName(conversation);
  const facts = [inboxName, conversation.assignee_name].filter(Boolean).join(" · ");
  return (
    <UnstyledButton
      className={`${styles.item} ${unread > 0 ? styles.unread : ""}`}
      aria-current={isSelected}
      data-conversation={conversation.id}
      onClick={() => onOpen(conversation.id)}
    >
      <Person name={name} id={conversation.contact.id} />
      <div className={styles.body}>
        <div className={styles.line}>
          <span className={styles.name}>{name}</span>
          <span className={styles.when}><Age of={conversation.last_activity_at} /></span>
        </div>
        <div className={styles.line}>
          <span className={styles.preview}>
            {isTyping ? <span className={styles.typing}>is typing…</span> : preview(conversation)}
          </span>
          {unread > 0 && (
            <Badge size="sm" circle={unread < 10} style={{ flex: "none" }} aria-label={`${unread} unread`}>{unread > 99 ? "99+" : unread}</Badge>
          )}
        </div>
        {facts && <div className={styles.facts}>{facts}</div>}
      </div>
    </UnstyledButton>
  );
});

function useIsCustomerTyping(id: string): boolean {
  return useStore(activities, (all) => Object.values(all[id]?.typing ?? {}).some(({ who }) => who === "customer"));
}
