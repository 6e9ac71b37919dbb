import { Button, Code, Group, Stack, Text } from "@mantine/core";
import { IconExternalLink } from "@tabler/icons-react";
import type { Inbox } from "@/platform/api/types";
import { Copy } from "@/ui/copy";

/** The line that puts the chat on a website, and a page to try it on. */
export function Snippet({ inbox }: { inbox: Inbox }) {
  const code = snippetOf(inbox, window.location.origin);
  return (
    <Stack gap="sm">
      <Text size="sm">Paste this before <Code>&lt;/body&gt;</Code> on every page that should have the chat:</Text>
      {/* A region that scrolls must be reachable by keyboard. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <Code block tabIndex={0} role="region" aria-label="Snippet">{code}</Code>
      <Group gap="xs">
        <Copy text={code} label="Copy the snippet" />
        <DemoLink inbox={inbox} />
      </Group>
    </Stack>
  );
}

export function DemoLink({ inbox, variant = "light" }: { inbox: Inbox; variant?: "light" | "filled" }) {
  return (
    <Button
      component="a"
      href={`/demo/${inbox.public_key}`}
      target="_blank"
      rel="noopener"
      variant={variant}
      leftSection={<IconExternalLink size={16} />}
    >
      Open the demo page
    </Button>
  );
}

export function snippetOf(inbox: Pick<Inbox, "public_key">, origin: string): string {
  return `<script async src="${origin}/widget.js" data-inbox="${inbox.public_key}"></script>`;
}
