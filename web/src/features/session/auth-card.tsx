import { Alert, Anchor, Paper, Text, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Brand } from "@/ui/brand";
import { usePageTitle } from "@/ui/page-title";
import styles from "./auth-card.module.css";

interface Props {
  title: string;
  about: ReactNode;
  error: string | null;
  children: ReactNode;
  other?: { question: string; to: "/signin" | "/signup"; label: string };
}

/** The frame of the pages one sees before being signed in. */
export function AuthCard({ title, about, error, children, other }: Props) {
  usePageTitle(title);
  return (
    <main className={styles.screen}>
      <div className={styles.column}>
        <Brand size={34} />
        <Paper withBorder className={styles.card}>
          <Title order={1}>{title}</Title>
          <Text c="dimmed" mt={4} mb="lg">{about}</Text>
          {error && <Alert role="alert" color="red" variant="light" mb="md">{error}</Alert>}
          {children}
        </Paper>
        {other && (
          <Text ta="center" size="sm" mt="md">
            {other.question} <Anchor component={Link} to={other.to} underline="always">{other.label}</Anchor>
          </Text>
        )}
      </div>
    </main>
  );
}
