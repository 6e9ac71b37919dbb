import { Button, Group, ScrollArea, Skeleton, Stack } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { IconCircleCheck, IconInbox, IconMoon, IconSparkles } from "@tabler/icons-react";
import { useDebouncedValue } from "@mantine/hooks";
import { type ReactNode, useState } from "react";
import type { Conversation, Inbox, Status } from "@/platform/api/types";
import { Empty, Failed } from "@/ui/states";
import styles from "./list.module.css";
import { ListFilter } from "./list-filter";
import { ListItem } from "./list-item";
import { countsQuery, type Filter, listQuery } from "./queries";
import { SearchBox } from "./search-box";
import { SearchResults } from "./search-results";
import { StatusTabs } from "./status-tabs";
import { useListKeys } from "./shortcuts";

interface Props {
  filter: Filter;
  onFilter(filter: Filter): void;
  inboxes: readonly Inbox[];
  selectedId: string | null;
  onOpen(id: string): void;
  /** What to show when no conversation has ever come. */
  firstSteps: ReactNode;
}

/** A pause in typing this long means: look now. */
const PAUSE_MS = 250;

/** All conversations by status, or what a search has found. */
export function ConversationList(props: Props) {
  const [text, setText] = useState("");
  const [settled] = useDebouncedValue(text, PAUSE_MS);
  const query = text.trim() && settled.trim();
  return (
    <section className={styles.list} aria-label="Conversations">
      <SearchBox text={text} onChange={setText} />
      {query ? <SearchResults query={query} selectedId={props.selectedId} onOpen={props.onOpen} /> : <Listed {...props} />}
    </section>
  );
}

/** The conversations of one status, newest activity first, kept live by the socket. */
function Listed({ filter, onFilter, inboxes, selectedId, onOpen, firstSteps }: Props) {
  const list = useInfiniteQuery(listQuery(filter));
  const counts = useQuery(countsQuery());
  const conversations = list.data?.pages.flatMap((page) => page.items) ?? [];
  useListKeys(conversations, selectedId, onOpen);
  return (
    <>
      <StatusTabs status={filter.status} counts={counts.data} onChange={(status) => onFilter({ ...filter, status })} />
      <ListFilter filter={filter} inboxes={inboxes} onFilter={onFilter} />
      <ScrollArea className={styles.scroll} type="auto">
        {list.isPending && <Placeholders />}
        {list.isError && <Failed what="The conversations could not be loaded" error={list.error} onRetry={() => void list.refetch()} />}
        {list.isSuccess && conversations.length === 0 && (
          <Nothing filter={filter} firstSteps={firstSteps} isFirstRun={isUntouched(counts.data)} />
        )}
        <ul className={styles.items} aria-label={`${filter.status} conversations`}>
          {conversations.map((conversation) => (
            <li key={conversation.id}>
              <ListItem
                conversation={conversation}
                inboxName={inboxes.length > 1 ? inboxName(inboxes, conversation) : null}
                isSelected={conversation.id === selectedId}
                onOpen={onOpen}
              />
            </li>
          ))}
        </ul>
        {list.hasNextPage && (
          <Group justify="center" p="sm">
            <Button variant="subtle" size="xs" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
              Show older
            </Button>
          </Group>
        )}
      </ScrollArea>
    </>
  );
}

const NOTHING: Record<Status, { icon: typeof IconInbox; title: string; text: string }> = {
  open: { icon: IconInbox, title: "All caught up", text: "Conversations that need a person appear here the moment the assistant hands over." },
  pending: { icon: IconSparkles, title: "The assistant is idle", text: "Conversations the assistant is answering appear here. You can step in at any time." },
  snoozed: { icon: IconMoon, title: "Nothing is sleeping", text: "Snooze a conversation to get it back later, or as soon as the customer writes." },
  resolved: { icon: IconCircleCheck, title: "Nothing resolved yet", text: "Resolved conversations rest here. They reopen by themselves when the customer writes again." },
};

function Nothing({ filter, firstSteps, isFirstRun }: { filter: Filter; firstSteps: ReactNode; isFirstRun: boolean }) {
  if (isFirstRun) return firstSteps;
  const { icon, title, text } = NOTHING[filter.status];
  return (
    <Empty icon={icon} title={title}>
      {filter.assigneeId ? "No conversation with this status is assigned to you." : text}
    </Empty>
  );
}

function Placeholders() {
  return (
    <Stack gap="lg" p="md" role="status" aria-label="Loading conversations">
      {[70, 52, 64, 45].map((width) => (
        <Group key={width} wrap="nowrap" align="flex-start">
          <Skeleton circle h={36} />
          <Stack gap={8} flex={1}>
            <Skeleton h={10} w={`${width}%`} />
            <Skeleton h={10} w="90%" />
          </Stack>
        </Group>
      ))}
    </Stack>
  );
}

function isUntouched(counts: Record<Status, number> | undefined): boolean {
  return counts !== undefined && counts.open + counts.pending + counts.snoozed + counts.resolved === 0;
}

function inboxName(inboxes: readonly Inbox[], conversation: Conversation): string | null {
  return inboxes.find(({ id }) => id === conversation.inbox_id)?.name ?? null;
}
