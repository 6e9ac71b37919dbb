import { Button, Stack, Tabs } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { IconFiles, IconSearch, IconUpload } from "@tabler/icons-react";
import { useRef } from "react";
import { useIsAdmin } from "@/platform/session/session";
import { Page } from "@/ui/page";
import { DocumentList } from "./document-list";
import { DropArea } from "./drop-area";
import { PassagesDrawer } from "./passages-drawer";
import { ReindexButton } from "./reindex-button";
import { SearchTest } from "./search-test";
import { UploadList } from "./upload-list";
import { upload } from "./uploads";

interface Props {
  tab: "documents" | "test";
  documentId: string | null;
  onTab(tab: "documents" | "test"): void;
  onDocument(id: string | null): void;
  /** All documents are being indexed anew. */
  onReindexing(): void;
}

/** What the assistant knows: the documents, and a place to try what it finds in them. */
export function KnowledgePage({ tab, documentId, onTab, onDocument, onReindexing }: Props) {
  const cache = useQueryClient();
  const isAdmin = useIsAdmin();
  const openDialog = useRef<() => void>(null);
  return (
    <Page
      title="Knowledge"
      about="The assistant answers only from these documents, word for word, and names its source."
      actions={
        isAdmin && tab === "documents" && (
          <>
            <ReindexButton onStarted={onReindexing} />
            <Button leftSection={<IconUpload size={16} />} onClick={() => openDialog.current?.()}>Upload</Button>
          </>
        )
      }
    >
      <Tabs value={tab} onChange={(value) => onTab(value === "test" ? "test" : "documents")} keepMounted={false}>
        <Tabs.List mb="lg">
          <Tabs.Tab value="documents" leftSection={<IconFiles size={16} />}>Documents</Tabs.Tab>
          <Tabs.Tab value="test" leftSection={<IconSearch size={16} />}>Test the search</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="documents">
          <Stack gap="lg">
            {isAdmin && <DropArea openRef={openDialog} onFiles={(files) => upload(cache, files)} />}
            <UploadList />
            <DocumentList isAdmin={isAdmin} onOpen={onDocument} />
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="test"><SearchTest onOpen={onDocument} /></Tabs.Panel>
      </Tabs>
      <PassagesDrawer documentId={documentId} onClose={() => onDocument(null)} />
    </Page>
  );
}
