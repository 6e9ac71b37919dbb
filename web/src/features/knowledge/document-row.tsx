import { ActionIcon, Badge, Button, Group, Menu, Progress, Text, UnstyledButton } from "@mantine/core";
import { IconDots, IconFileText, IconRefresh, IconTrash } from "@tabler/icons-react";
import { memo } from "react";
import type { Document } from "@/platform/api/types";
import { Age } from "@/ui/age";
import { useConfirm } from "@/ui/confirm";
import { useDelete, useRetry } from "./actions";
import styles from "./knowledge.module.css";
import { counted, fileSize, isUnderway, STATUS } from "./words";

interface Props {
  document: Document;
  isAdmin: boolean;
  onOpen(id: string): void;
}

export const DocumentRow = memo(function DocumentRow({ document, isAdmin, onOpen }: Props) {
  const { name, color } = STATUS[document.status];
  return (
    <li className={styles.row} data-document={document.id} data-status={document.status}>
      <IconFileText size={20} stroke={1.5} className={styles.icon} aria-hidden />
      <div className={styles.grow}>
        <UnstyledButton className={styles.title} onClick={() => onOpen(document.id)} disabled={document.status !== "searchable"}>
          {document.title}
        </UnstyledButton>
        <Text size="xs" c="dimmed" truncate>
          {document.filename} · {fileSize(document.size_bytes)}
          {document.status === "searchable" && ` · ${counted(document.passages, "passage")}`} · <Age of={document.created_at} />
        </Text>
        {isUnderway(document) && <Progress value={document.progress * 100} size="xs" mt={6} aria-label={`${name} ${document.title}`} />}
        {document.error && <Text size="sm" mt={2} c="var(--mantine-color-error)">{document.error}</Text>}
      </div>
      <Badge variant="light" color={color} tt="none" fw={550} style={{ flex: "none" }}>{name}</Badge>
      {isAdmin && <Actions document={document} />}
    </li>
  );
});

function Actions({ document }: { document: Document }) {
  const retry = useRetry();
  const remove = useDelete();
  const [question, ask] = useConfirm();
  const askToDelete = () =>
    ask({
      title: "Delete this document?",
      text: `The assistant stops using “${document.title}” at once.`,
      verb: "Delete",
      onYes: () => remove.mutate(document.id),
    });
  return (
    <Group gap={4} wrap="nowrap">
      {document.status === "failed" && (
        <Button size="compact-sm" variant="default" leftSection={<IconRefresh size={14} />} loading={retry.isPending} onClick={() => retry.mutate(document.id)}>
          Retry
        </Button>
      )}
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={`More for ${document.title}`} loading={remove.isPending}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconRefresh size={16} />} onClick={() => retry.mutate(document.id)}>Index again</Menu.Item>
          <Menu.Item leftSection={<IconTrash size={16} />} color="red" onClick={askToDelete}>Delete</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {question}
    </Group>
  );
}
