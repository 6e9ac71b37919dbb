import { Alert, Button, Center, Loader, Stack, Text, ThemeIcon, Title } from "@mantine/core";
import { IconAlertTriangle, IconRefresh } from "@tabler/icons-react";
import type { ComponentType, ReactNode } from "react";
import { explain, Problem } from "@/platform/api/problem";

interface EmptyProps {
  icon: ComponentType<{ size?: number; stroke?: number }>;
  title: string;
  children: ReactNode;
  action?: ReactNode;
  /** 1 where nothing else on the page has a heading. */
  level?: 1 | 2;
}

/** Nothing here yet: says why, and what to do about it. */
export function Empty({ icon: Icon, title, children, action, level = 2 }: EmptyProps) {
  return (
    <Center mih={260} p="lg">
      <Stack align="center" gap="xs" maw={400} ta="center">
        <ThemeIcon size={56} radius="xl" variant="light" aria-hidden>
          <Icon size={28} stroke={1.6} />
        </ThemeIcon>
        <Title order={level} size="h2" mt="xs">{title}</Title>
        <Text c="dimmed">{children}</Text>
        {action && <div style={{ marginTop: 8 }}>{action}</div>}
      </Stack>
    </Center>
  );
}

/** Something failed: says what, offers to try again, and names the request for whoever looks into it. */
export function Failed({ error, onRetry, what }: { error: unknown; onRetry?: () => void; what: string }) {
  const requestId = error instanceof Problem ? error.requestId : null;
  return (
    <Center mih={200} p="lg">
      <Alert role="alert" color="red" variant="default" icon={<IconAlertTriangle />} title={what} maw={480}>
        <Stack gap="sm" align="flex-start">
          <Text size="sm">{explain(error)}</Text>
          {requestId && <Text size="xs" c="dimmed">Request {requestId}</Text>}
          {onRetry && (
            <Button size="xs" variant="default" leftSection={<IconRefresh size={14} />} onClick={onRetry}>
              Try again
            </Button>
          )}
        </Stack>
      </Alert>
    </Center>
  );
}

export function Loading({ label = "Loading" }: { label?: string }) {
  return (
    <Center mih={200} role="status" aria-label={label}>
      <Loader size="sm" type="dots" />
    </Center>
  );
}
