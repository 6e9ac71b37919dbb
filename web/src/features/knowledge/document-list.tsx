import { Button, Group, Skeleton, Stack, Text, TextInput } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { IconBook2, IconFilter } from "@tabler/icons-react";
import { useState } from "react";
import type { Document } from "@/platform/api/types";
import { Empty, Failed } from "@/ui/states";
import { DocumentRow } from "./document-row";
import styles from "./knowledge.module.css";
import { documentsQuery } from "./queries";
import { SampleButton } from "./sample-button";
import { isUnderway } from "./words";

const FILTER_FROM = 8;

export function DocumentList({ isAdmin, onOpen }: { isAdmin: boolean; onOpen(id: string): void }) {
  const found = useInfiniteQuery(documentsQuery());
  const [words, setWords] = useState("");
  if (found.isPending) return <Stack role="status" aria-label="Loading documents">{[1, 2, 3].map((row) => <Skeleton key={row} h={56} />)}</Stack>;
  if (found.isError) return <Failed what="The documents could not be loaded" error={found.error} onRetry={() => void found.refetch()} />;
  const all = found.data.pages.flatMap((page) => page.items);
  if (all.length === 0) return <NoDocuments isAdmin={isAdmin} />;
  const shown = all.filter(({ title, filename }) => `${title} ${filename}`.toLowerCase().includes(words.trim().toLowerCase()));
  return (
    <section aria-label="Documents">
      <Group justify="space-between" mb="xs">
        <Text size="sm" c="dimmed" role="status">{summary(all, found.hasNextPage)}</Text>
        {all.length >= FILTER_FROM && (
          <TextInput
            size="xs"
            aria-label="Filter documents by name"
            placeholder="Filter by name"
            leftSection={<IconFilter size={14} />}
            value={words}
            onChange={(changed) => setWords(changed.currentTarget.value)}
          />
        )}
      </Group>
      <ul className={`${styles.plain} ${styles.rows}`}>
        {shown.map((document) => <DocumentRow key={document.id} document={document} isAdmin={isAdmin} onOpen={onOpen} />)}
      </ul>
      {shown.length === 0 && <Text c="dimmed" ta="center" p="lg">No document has “{words}” in its name.</Text>}
      {found.hasNextPage && (
        <Group justify="center" mt="md">
          <Button variant="default" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>Show more</Button>
        </Group>
      )}
    </section>
  );
}

function NoDocuments({ isAdmin }: { isAdmin: boolean }) {
  return (
    <Empty icon={IconBook2} title="Nothing to answer from yet" action={isAdmin && <SampleButton />}>
      {isAdmin
        ? "Upload your help pages, policies or price lists. Or begin with the sample help centre of an imaginary shop."
        : "An administrator of your organization can upload help pages here."}
    </Empty>
  );
}

function summary(all: readonly Document[], hasMore: boolean): string {
  const count = (test: (document: Document) => boolean) => all.filter(test).length;
  const parts = [
    `${count(({ status }) => status === "searchable")}${hasMore ? "+" : ""} searchable`,
    [count(isUnderway), "on the way"],
    [count(({ status }) => status === "failed"), "failed"],
  ];
  return parts
    .map((part) => (typeof part === "string" ? part : part[0] ? part.join(" ") : ""))
    .filter(Boolean)
    .join(" · ");
}
