import { Button, Stack, Text } from "@mantine/core";
import { useState } from "react";
import { useAsk } from "./actions";
import { InboxField, Refusal } from "./fields";
import type { FormProps } from "./start-menu";

export function ExportForm({ inboxes, onAsked }: FormProps) {
  const ask = useAsk(onAsked);
  const [inboxId, setInboxId] = useState("");
  return (
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault();
        ask.mutate({ kind: "export", choice: { inbox_id: inboxId || null } });
      }}
    >
      <Stack>
        <InboxField inboxes={inboxes} value={inboxId} onChange={setInboxId} hasAll />
        <Text size="sm" c="dimmed">
          You get a file of JSON lines with every conversation and message, private notes included, and a manifest with checksums. It can be
          fetched here for seven days, and imported into any Dana.
        </Text>
        {ask.isError && <Refusal error={ask.error} />}
        <Button type="submit" data-autofocus loading={ask.isPending}>Export</Button>
      </Stack>
    </form>
  );
}
