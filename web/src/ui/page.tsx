import { Group, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { usePageTitle } from "./page-title";
import styles from "./page.module.css";

interface Props {
  title: string;
  about: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page with a heading, one sentence that says what it is for, and its main actions. */
export function Page({ title, about, actions, children }: Props) {
  usePageTitle(title);
  return (
    <div className={styles.scroll}>
      <div className={styles.page}>
        <Group justify="space-between" align="flex-start" gap="md" mb="lg">
          <div className={styles.heading}>
            <Title order={1}>{title}</Title>
            <Text c="dimmed" mt={4}>{about}</Text>
          </div>
          {actions && <Group gap="xs">{actions}</Group>}
        </Group>
        {children}
      </div>
    </div>
  );
}
