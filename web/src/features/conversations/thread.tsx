import { Button, Group } from "@mantine/core";
import { type InfiniteData, useInfiniteQuery, type UseInfiniteQueryResult } from "@tanstack/react-query";
import { Fragment, type ReactNode } from "react";
import type { Conversation, Message } from "@/platform/api/types";
import { activities, NO_ACTIVITY } from "@/platform/realtime/ephemera";
import { useSession } from "@/platform/session/session";
import { useStore } from "@/platform/store";
import { useNow } from "@/ui/age";
import { Failed, Loading } from "@/ui/states";
import { dayName, isSameDay } from "@/ui/time";
import { DraftBubble, TypingLine } from "./activity";
import { MessageBubble } from "./message";
import { notYetShown, outbox } from "./outbox";
import { OutgoingBubble } from "./outgoing";
import { type MessagePage, messagesQuery } from "./queries";
import { useSpotlight } from "./spotlight";
import styles from "./thread.module.css";
import { continues } from "./words";

/** What was said, oldest first, and what is being said right now. It stays at its end while it grows. */
export function Thread({ conversation }: { conversation: Conversation }) {
  const found = useInfiniteQuery(messagesQuery(conversation.id));
  if (found.isPending) return <Frame><Loading label="Loading messages" /></Frame>;
  if (found.isError) {
    return <Frame><Failed what="The messages could not be loaded" error={found.error} onRetry={() => void found.refetch()} /></Frame>;
  }
  return <Loaded conversation={conversation} found={found} />;
}

type Found = UseInfiniteQueryResult<InfiniteData<MessagePage>>;

function Loaded({ conversation, found }: { conversation: Conversation; found: Found }) {
  const pages = found.data?.pages ?? [];
  const messages = pages.toReversed().flatMap((page) => page.items);
  useSpotlight(conversation.id, messages, {
    count: pages.length,
    isFetching: found.isFetchingNextPage,
    fetchOlder: found.hasNextPage ? () => void found.fetchNextPage() : null,
  });
  return (
    <Frame>
      {found.hasNextPage && (
        <Group justify="center" pb="md">
          <Button variant="subtle" size="xs" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
            Show earlier messages
          </Button>
        </Group>
      )}
      <Written messages={messages} customerName={conversation.contact.name} />
      <Now conversation={conversation} messages={messages} />
    </Frame>
  );
}

/** Reversed flow: the browser itself keeps the end in view, without a line of script. */
function Frame({ children }: { children: ReactNode }) {
  return (
    // A region that scrolls must be reachable by keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={styles.frame} tabIndex={0} role="region" aria-label="Messages">
      <div className={styles.content} role="log" aria-live="polite">{children}</div>
    </div>
  );
}

function Written({ messages, customerName }: { messages: readonly Message[]; customerName: string }) {
  const now = useNow();
  return messages.map((message, index) => {
    const before = messages[index - 1];
    const isNewDay = !before || !isSameDay(before.created_at, message.created_at);
    return (
      <Fragment key={message.id}>
        {isNewDay && <div className={styles.day}>{dayName(message.created_at, now)}</div>}
        <MessageBubble message={message} isContinued={!isNewDay && continues(before, message)} customerName={customerName} />
      </Fragment>
    );
  });
}

function Now({ conversation, messages }: { conversation: Conversation; messages: readonly Message[] }) {
  const me = useSession().user.user_id;
  const activity = useStore(activities, (all) => all[conversation.id] ?? NO_ACTIVITY);
  const outgoing = useStore(outbox).filter(({ conversationId }) => conversationId === conversation.id);
  const isWritten = messages.some(({ id }) => id === activity.draft?.message_id);
  return (
    <>
      {activity.draft && !isWritten && <DraftBubble draft={activity.draft} />}
      {notYetShown(outgoing, messages, me).map((one) => <OutgoingBubble key={one.key} outgoing={one} />)}
      <TypingLine activity={activity} isDrafting={activity.draft !== null && !isWritten} />
    </>
  );
}
