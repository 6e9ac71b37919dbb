import { ActionIcon, Button, Group, Progress, Stack, Text, VisuallyHidden } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { IconX } from "@tabler/icons-react";
import { useStore } from "@/platform/store";
import styles from "./knowledge.module.css";
import { dismiss, type Upload, uploadAgain, uploads } from "./uploads";
import { counted, fileSize } from "./words";

/** Files on their way, each with its own progress or its own reason why it can't come. */
export function UploadList() {
  const all = useStore(uploads);
  if (all.length === 0) return null;
  return (
    <section aria-label="Uploads">
      <VisuallyHidden role="status">{counted(all.length, "upload")} listed</VisuallyHidden>
      <Stack gap={6} component="ul" className={styles.plain}>
        {all.slice(0, 12).map((one) => <Row key={one.key} upload={one} />)}
      </Stack>
      {all.length > 12 && <Text size="sm" c="dimmed" mt={6}>and {all.length - 12} more</Text>}
    </section>
  );
}

function Row({ upload }: { upload: Upload }) {
  const cache = useQueryClient();
  const isFailed = upload.state === "failed" || upload.state === "refused";
  return (
    <li className={styles.upload} data-failed={isFailed || undefined}>
      <div className={styles.grow}>
        <Group justify="space-between" wrap="nowrap" gap="sm">
          <Text size="sm" fw={550} truncate>{upload.file.name}</Text>
          <Text size="xs" c="dimmed" style={{ flex: "none" }}>{fileSize(upload.file.size)}</Text>
        </Group>
        {isFailed
          ? <Text size="sm" c="var(--mantine-color-error)" role="alert">{upload.error}</Text>
          : <Progress value={upload.sent * 100} size="sm" mt={6} aria-label={`Uploading ${upload.file.name}`} />}
      </div>
      {upload.state === "failed" && <Button size="compact-sm" variant="default" onClick={() => uploadAgain(cache, upload)}>Try again</Button>}
      {isFailed && (
        <ActionIcon variant="subtle" color="gray" aria-label={`Dismiss ${upload.file.name}`} onClick={() => dismiss(upload.key)}>
          <IconX size={16} />
        </ActionIcon>
      )}
    </li>
  );
}
