import { Button, FileInput, Stack, Text } from "@mantine/core";
import { IconFile } from "@tabler/icons-react";
import { useState } from "react";
import { useAsk } from "./actions";
import { InboxField, Refusal } from "./fields";
import type { FormProps } from "./start-menu";
import { importRefusal } from "./refusal";

export function ImportForm({ inboxes, onAsked }: FormProps) {
  const ask = useAsk(onAsked);
  const [chosenId, setChosenId] = useState("");
  const [file, setFile] = useState<File | null>(null);
  const inboxId = chosenId || inboxes[0]?.id;
  if (!inboxId) return <Text>Create an inbox first: the conversations need a place to go to.</Text>;
  const refusal = file && importRefusal(file);
  return (
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault();
        if (file) ask.mutate({ kind: "import", file, inboxId });
      }}
    >
      <Stack>
        <FileInput
          label="File"
          placeholder="Choose a .jsonl or .jsonl.gz file"
          accept=".jsonl,.ndjson,.json,.gz"
          leftSection={<IconFile size={16} />}
          value={file}
          onChange={setFile}
          error={refusal}
          clearable
          clearButtonProps={{ "aria-label": "Choose no file" }}
        />
        <InboxField inboxes={inboxes} value={inboxId} onChange={setChosenId} label="Into which inbox" />
        <Text size="sm" c="dimmed">
          As an export of Dana writes it: JSON lines, packed with gzip or not. What was imported before is not imported twice, and a bad line
          stops no other.
        </Text>
        {ask.isError && <Refusal error={ask.error} />}
        <Button type="submit" disabled={!file || refusal !== null} loading={ask.isPending}>Import</Button>
      </Stack>
    </form>
  );
}
