import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { IconRefresh } from "@tabler/icons-react";
import { useConfirm } from "@/ui/confirm";
import { useReindex } from "./actions";
import { hasDocumentsQuery } from "./queries";

/** Index all documents anew, such as after an update that reads files better. */
export function ReindexButton({ onStarted }: { onStarted(): void }) {
  const reindex = useReindex(onStarted);
  const hasDocuments = useInfiniteQuery(hasDocumentsQuery()).data ?? false;
  const [question, ask] = useConfirm();
  const askToReindex = () =>
    ask({
      title: "Index all documents again?",
      text: "Every document is read and indexed anew, one after the other. Until it is its turn, each is found as before.",
      verb: "Index again",
      isHarmless: true,
      onYes: () => reindex.mutate(crypto.randomUUID()),
    });
  return (
    <>
      <Button variant="default" leftSection={<IconRefresh size={16} />} loading={reindex.isPending} disabled={!hasDocuments} onClick={askToReindex}>
        Re-index
      </Button>
      {question}
    </>
  );
}
