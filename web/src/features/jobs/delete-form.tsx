import { Button, Checkbox, NativeSelect, Stack, Text } from "@mantine/core";
import { useState } from "react";
import { useAsk } from "./actions";
import { AGES, quietSince } from "./ages";
import { InboxField, Refusal } from "./fields";
import type { FormProps } from "./start-menu";

const STATUSES = [
  { value: "resolved", label: "Resolved" },
  { value: "open", label: "Open" },
  { value: "snoozed", label: "Snoozed" },
  { value: "pending", label: "With the assistant" },
] as const;

type Status = (typeof STATUSES)[number]["value"];

export function DeleteForm({ inboxes, onAsked }: FormProps) {
  const ask = useAsk(onAsked);
  const [status, setStatus] = useState<Status>("resolved");
  const [age, setAge] = useState(String(AGES[2].days));
  const [inboxId, setInboxId] = useState("");
  const [isSure, setSure] = useState(false);
  return (
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault();
        ask.mutate({ kind: "delete", choice: { status, inbox_id: inboxId || null, quiet_since: quietSince(Number(age), Date.now()) } });
      }}
    >
      <Stack>
        <NativeSelect data-autofocus label="Which conversations" data={STATUSES.map((one) => ({ ...one }))} value={status} onChange={(changed) => setStatus(changed.currentTarget.value as Status)} />
        <NativeSelect
          label="Without activity for"
          data={AGES.map(({ days, name }) => ({ value: String(days), label: name }))}
          value={age}
          onChange={(changed) => setAge(changed.currentTarget.value)}
        />
        <InboxField inboxes={inboxes} value={inboxId} onChange={setInboxId} hasAll />
        <Text size="sm" c="dimmed">
          They are deleted with everything that was said in them, and can’t be brought back. Export them first if you may need them. The
          names and addresses of the customers stay.
        </Text>
        <Checkbox label="I want these conversations to be gone" checked={isSure} onChange={(changed) => setSure(changed.currentTarget.checked)} />
        {ask.isError && <Refusal error={ask.error} />}
        <Button type="submit" color="red.9" disabled={!isSure} loading={ask.isPending}>Delete</Button>
      </Stack>
    </form>
  );
}
