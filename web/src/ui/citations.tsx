import { Blockquote, Drawer, Group, Stack, Text, Title, UnstyledButton } from "@mantine/core";
import { IconFileText } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Citation } from "@/platform/api/types";
import styles from "./citations.module.css";
import { Passage } from "./passage";

/** The sources of an answer as small buttons; each opens its passage in a drawer. */
export function Citations({ citations }: { citations: readonly Citation[] }) {
  const [opened, setOpened] = useState<Citation | null>(null);
  if (citations.length === 0) return null;
  return (
    <>
      <Group gap={6} mt={8}>
        {citations.map((citation, index) => (
          <UnstyledButton
            key={`${citation.document_id}-${index}`}
            className={styles.chip}
            onClick={() => setOpened(citation)}
            aria-label={`Source ${index + 1}: ${citation.title}`}
          >
            <IconFileText size={13} aria-hidden />
            <span className={styles.title}>{citation.title}</span>
          </UnstyledButton>
        ))}
      </Group>
      <Drawer
        opened={opened !== null}
        onClose={() => setOpened(null)}
        position="right"
        size="md"
        title={<Text component="span" fw={600}>Source</Text>}
        closeButtonProps={{ "aria-label": "Close the source" }}
      >
        {opened && <CitedPassage citation={opened} />}
      </Drawer>
    </>
  );
}

function CitedPassage({ citation }: { citation: Citation }) {
  return (
    <Stack gap="sm">
      <Title order={2}>{citation.title}</Title>
      <Text size="sm" c="dimmed">The answer quotes this passage word for word.</Text>
      <Blockquote p="md" className={styles.block}>
        <Passage text={citation.passage} quote={citation.quote} />
      </Blockquote>
      <Link to="/knowledge" search={{ document: citation.document_id }} className={styles.link}>Open the document</Link>
    </Stack>
  );
}
