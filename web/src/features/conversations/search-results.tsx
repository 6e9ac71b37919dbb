import { Button, Group, ScrollArea, Text, UnstyledButton } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { IconLock, IconMoodEmpty } from "@tabler/icons-react";
import { Fragment } from "react";
import { Age } from "@/ui/age";
import { Person } from "@/ui/person";
import { Empty, Failed, Loading } from "@/ui/states";
import styles from "./list.module.css";
import { type Hit, searchQuery } from "./queries";
import { useListKeys } from "./shortcuts";
import { spotlight } from "./spotlight";
import { contactName, STATUS_NAMES } from "./words";

interface Props {
  query: string;
  selectedId: string | null;
  onOpen(id: string): void;
}

/** The messages that have all the words, newest first. */
export function SearchResults({ query, selectedId, onOpen }: Props) {
  const found = useInfiniteQuery(searchQuery(query));
  const hits = found.data?.pages.flatMap((page) => page.items) ?? [];
  const isCutShort = found.data?.pages.at(-1)?.is_cut_short ?? false;
  useListKeys(hits.map(({ conversation }) => conversation), selectedId, onOpen);
  return (
    <ScrollArea className={styles.scroll} type="auto">
      {found.isPending && <Loading label="Searching" />}
      {found.isError && <Failed what="The search failed" error={found.error} onRetry={() => void found.refetch()} />}
      {found.isSuccess && !found.isPlaceholderData && hits.length === 0 && !isCutShort && <NothingFound query={query} />}
      <ul className={styles.items} aria-label="Found messages" aria-busy={found.isPlaceholderData}>
        {hits.map((hit) => (
          <li key={`${hit.conversation.id}-${hit.seq}`}>
            <HitItem
              hit={hit}
              isSelected={hit.conversation.id === selectedId}
              onOpen={() => {
                spotlight.set({ conversationId: hit.conversation.id, seq: hit.seq });
                onOpen(hit.conversation.id);
              }}
            />
          </li>
        ))}
      </ul>
      {found.hasNextPage && (
        <Group justify="center" p="sm" gap={4}>
          {isCutShort && <Text size="xs" c="dimmed" ta="center" role="status">Older messages have not been searched yet.</Text>}
          <Button variant="subtle" size="xs" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
            {isCutShort ? "Search further back" : "Show older"}
          </Button>
        </Group>
      )}
    </ScrollArea>
  );
}

function HitItem({ hit, isSelected, onOpen }: { hit: Hit; isSelected: boolean; onOpen(): void }) {
  const { conversation } = hit;
  return (
    <UnstyledButton className={styles.item} aria-current={isSelected} data-conversation={conversation.id} onClick={onOpen}>
      <Person name={contactName(conversation)} id={conversation.contact.id} />
      <div className={styles.body}>
        <div className={styles.line}>
          <span className={styles.name}>{conversation.contact.name ? <Marked pieces={hit.contact_name} /> : contactName(conversation)}</span>
          <span className={styles.when}><Age of={hit.created_at} /></span>
        </div>
        <div className={styles.preview}><Marked pieces={hit.excerpt} /></div>
        <div className={styles.facts}>
          {hit.is_private && <span><IconLock size={11} aria-hidden /> Private note</span>}
          <span>{STATUS_NAMES[conversation.status]}</span>
          {hit.contact_email.some((piece) => piece.is_match) && <span><Marked pieces={hit.contact_email} /></span>}
        </div>
      </div>
    </UnstyledButton>
  );
}

function Marked({ pieces }: { pieces: Hit["excerpt"] }) {
  // Pieces have no identity but their place.
  return pieces.map((piece, index) => <Fragment key={index}>{piece.is_match ? <mark>{piece.text}</mark> : piece.text}</Fragment>);
}

function NothingFound({ query }: { query: string }) {
  return (
    <Empty icon={IconMoodEmpty} title="Nothing found">
      No message has all of “{query}”. Try fewer words: from four letters on the beginning of a word is enough. Names and
      e-mail addresses of contacts are found, too.
    </Empty>
  );
}
