import { Group, Text } from "@mantine/core";
import { Dropzone } from "@mantine/dropzone";
import { IconCloudUpload } from "@tabler/icons-react";
import type { RefObject } from "react";
import styles from "./knowledge.module.css";

interface Props {
  openRef?: RefObject<(() => void) | null>;
  onFiles(files: File[]): void;
}

/** Takes every file; what can't be used is listed with its reason instead of vanishing silently. */
export function DropArea({ openRef, onFiles }: Props) {
  return (
    <Dropzone {...(openRef ? { openRef } : {})} onDrop={onFiles} className={styles.drop} aria-label="Upload documents">
      <Group justify="center" gap="md" mih={84}>
        <IconCloudUpload size={34} stroke={1.4} aria-hidden />
        <div>
          <Text fw={550}>Drop documents here, or click to choose</Text>
          <Text size="sm" c="dimmed">Markdown, text, HTML, PDF, Word or CSV, up to 25 MB each</Text>
        </div>
      </Group>
    </Dropzone>
  );
}
