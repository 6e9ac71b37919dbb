import { Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Passage } from "@/ui/passage";
import { ShowMore, SideDrawer } from "@/ui/side-drawer";
import { Failed, Loading } from "@/ui/states";
import styles from "./knowledge.module.css";
import { documentQuery, passagesQuery } from "./queries";

/** A document as the assistant sees it: its passages in order. */
export function PassagesDrawer({ documentId, onClose }: { documentId: string | null; onClose(): void }) {
  return (
    <SideDrawer title="What the assistant reads" close="Close the document" onClose={onClose}>
      {documentId && <Passages documentId={documentId} />}
    </SideDrawer>
  );
}

function Passages({ documentId }: { documentId: string }) {
  const document = useQuery(documentQuery(documentId));
  const found = useInfiniteQuery(passagesQuery(documentId));
  if (found.isPending) return <Loading label="Loading passages" />;
  if (found.isError) return <Failed what="The passages could not be loaded" error={found.error} onRetry={() => void found.refetch()} />;
  const passages = found.data.pages.flatMap((page) => page.items);
  return (
    <Stack gap="md">
      {document.data && <Title order={2}>{document.data.title}</Title>}
      {passages.map((passage) => (
        <div key={passage.ordinal} className={styles.passage}>
          {passage.heading && <Text size="xs" fw={600} c="dimmed" mb={4}>{passage.heading}</Text>}
          <Passage text={passage.passage} />
        </div>
      ))}
      {passages.length === 0 && <Text c="dimmed">This document has no passages.</Text>}
      <ShowMore of={found} />
    </Stack>
  );
}
