import { IconHandStop, IconLock } from "@tabler/icons-react";
import { memo } from "react";
import type { Message } from "@/platform/api/types";
import { Citations } from "@/ui/citations";
import { LinkedText } from "@/ui/linked-text";
import { AssistantFace, Person } from "@/ui/person";
import { fullTime, timeOfDay } from "@/ui/time";
import styles from "./thread.module.css";

interface Props {
  message: Message;
  isContinued: boolean;
  customerName: string;
}

export const MessageBubble = memo(function MessageBubble({ message, isContinued, customerName }: Props) {
  if (message.author === "system") return <div className={styles.system}>{message.text}</div>;
  const isMine = message.author === "agent";
  const name = authorName(message, customerName);
  return (
    <article
      className={styles.row}
      data-mine={isMine || undefined}
      data-continued={isContinued || undefined}
      data-seq={message.seq}
      aria-label={`${name}, ${timeOfDay(message.created_at)}${message.is_private ? ", private note" : ""}`}
    >
      <div className={styles.face}>{!isContinued && <Face message={message} name={name} />}</div>
      <div className={styles.column}>
        {!isContinued && <Byline message={message} name={name} />}
        <div className={styles.bubble} data-author={message.author} data-private={message.is_private || undefined} title={fullTime(message.created_at)}>
          <div className={styles.text}><LinkedText text={message.text} /></div>
          <Citations citations={message.citations} />
        </div>
      </div>
    </article>
  );
});

function Face({ message, name }: { message: Message; name: string }) {
  if (message.author === "assistant") return <AssistantFace size={28} />;
  return <Person name={name} id={message.author_id ?? message.conversation_id} size={28} />;
}

function Byline({ message, name }: { message: Message; name: string }) {
  return (
    <div className={styles.byline}>
      <span className={styles.author}>{name}</span>
      <time dateTime={message.created_at}>{timeOfDay(message.created_at)}</time>
      {message.is_private && <span className={styles.tag}><IconLock size={12} aria-hidden /> Private note</span>}
      {message.action === "hand_over" && <span className={styles.tag}><IconHandStop size={12} aria-hidden /> Handed over</span>}
    </div>
  );
}

function authorName(message: Message, customerName: string): string {
  if (message.author_name) return message.author_name;
  if (message.author === "customer") return customerName || "Visitor";
  return message.author === "assistant" ? "Assistant" : "Agent";
}
