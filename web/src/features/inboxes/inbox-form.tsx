import { Button, Group, Stack, Switch, Textarea, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import type { Settings } from "./actions";

interface Props {
  initial: Settings;
  verb: string;
  isBusy: boolean;
  onSubmit(settings: Settings): void;
  beside?: ReactNode;
}

export const NEW_INBOX: Settings = {
  name: "Website",
  greeting: "Hello! How can we help?",
  is_assistant_enabled: true,
};

export function InboxForm({ initial, verb, isBusy, onSubmit, beside }: Props) {
  const [settings, setSettings] = useState(initial);
  const change = (part: Partial<Settings>) => setSettings((before) => ({ ...before, ...part }));
  return (
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault();
        onSubmit({ ...settings, name: settings.name.trim(), greeting: settings.greeting.trim() });
      }}
    >
      <Stack gap="md">
        <TextInput
          label="Name"
          description="Customers see it at the top of the chat."
          required
          maxLength={100}
          data-autofocus
          value={settings.name}
          onChange={(changed) => change({ name: changed.currentTarget.value })}
        />
        <Textarea
          label="Greeting"
          description="The first line of every new conversation."
          autosize
          minRows={2}
          maxLength={500}
          value={settings.greeting}
          onChange={(changed) => change({ greeting: changed.currentTarget.value })}
        />
        <Switch
          label="The assistant answers first"
          description="It answers from your knowledge, and hands over to a person when it isn't sure. When off, every conversation waits for a person."
          checked={settings.is_assistant_enabled}
          onChange={(changed) => change({ is_assistant_enabled: changed.currentTarget.checked })}
        />
        <Group justify="flex-end" gap="xs">
          {beside}
          <Button type="submit" loading={isBusy} disabled={!settings.name.trim()}>{verb}</Button>
        </Group>
      </Stack>
    </form>
  );
}
