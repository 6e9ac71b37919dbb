import { useQuery } from "@tanstack/react-query";
import { IconMessageOff } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { Problem } from "@/platform/api/problem";
import type { Conversation, Inbox, Member } from "@/platform/api/types";
import { conversationChannel, useChannel } from "@/platform/realtime/channels";
import { Empty, Failed, Loading } from "@/ui/states";
import { useAct } from "./actions";
import { Composer, type ComposerMode } from "./composer";
import { Details } from "./details";
import { PaneHeader } from "./header";
import styles from "./pane.module.css";
import { conversationQuery } from "./queries";
import { Thread } from "./thread";
import { usePaneKeys } from "./pane-keys";

interface Props {
  id: string;
  members: readonly Member[];
  inboxes: readonly Inbox[];
  onClose(): void;
}

/** One conversation: what was said, and what an agent can do about it. */
export function ConversationPane({ id, members, inboxes, onClose }: Props) {
  const found = useQuery(conversationQuery(id));
  if (found.isPending) return <Loading label="Loading the conversation" />;
  if (found.isError) {
    if (found.error instanceof Problem && [404, 422].includes(found.error.status)) {
      return <Empty icon={IconMessageOff} title="No such conversation">It may have been deleted, belong to another organization, or the address is wrong.</Empty>;
    }
    return <Failed what="The conversation could not be loaded" error={found.error} onRetry={() => void found.refetch()} />;
  }
  return <Opened key={id} conversation={found.data} members={members} inboxes={inboxes} onClose={onClose} />;
}

function Opened({ conversation, members, inboxes, onClose }: Omit<Props, "id"> & { conversation: Conversation }) {
  const [mode, setMode] = useState<ComposerMode>("reply");
  const act = useAct(conversation.id);
  const inbox = inboxes.find(({ id }) => id === conversation.inbox_id);
  useMarkRead(conversation);
  useChannel(conversationChannel(conversation.id));
  const focusComposer = usePaneKeys(conversation, act.mutate, setMode);
  return (
    <div className={styles.columns}>
      <section className={styles.pane} aria-label="Conversation">
        <PaneHeader conversation={conversation} members={members} act={act} onClose={onClose} />
        <Thread conversation={conversation} />
        <Composer conversation={conversation} mode={mode} onMode={setMode} inputRef={focusComposer} />
      </section>
      <Details conversation={conversation} inboxName={inbox?.name ?? null} />
    </div>
  );
}

/** What an agent has on the screen counts as seen: when it opens, when a message comes, when the tab comes back. */
function useMarkRead({ id, unread_count, last_seq }: Conversation): void {
  const { mutate } = useAct(id);
  useEffect(() => {
    const markRead = () => {
      if (unread_count > 0 && last_seq > 0 && document.visibilityState === "visible") mutate({ verb: "read" });
    };
    markRead();
    document.addEventListener("visibilitychange", markRead);
    return () => document.removeEventListener("visibilitychange", markRead);
  }, [unread_count, last_seq, mutate]);
}
