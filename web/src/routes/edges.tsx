import { Button, Center, Stack } from "@mantine/core";
import { type ErrorComponentProps, Link, useRouter } from "@tanstack/react-router";
import { IconMapOff } from "@tabler/icons-react";
import { useEffect } from "react";
import { Problem } from "@/platform/api/problem";
import { Brand } from "@/ui/brand";
import { Empty, Failed, Loading } from "@/ui/states";

export function NotFound() {
  return (
    <main>
      <Empty level={1} icon={IconMapOff} title="There is no such page" action={<Button component={Link} to="/">Go to the inbox</Button>}>
        The address may be mistyped, or the page has moved.
      </Empty>
    </main>
  );
}

const RETRY_MS = 3_000;

/** A page that could not even start. When it may pass, such as with the server down, it tries again by itself. */
export function Broken({ error }: ErrorComponentProps) {
  const router = useRouter();
  useEffect(() => {
    if (!(error instanceof Problem) || !error.isPassing) return;
    const timer = setInterval(() => void router.invalidate(), RETRY_MS);
    return () => clearInterval(timer);
  }, [error, router]);
  return (
    <Center component="main" mih="60dvh">
      <Failed what="This page could not be shown" error={error} onRetry={() => void router.invalidate()} />
    </Center>
  );
}

export function Starting() {
  return (
    <Center component="main" mih="100dvh">
      <Stack align="center" gap={0}>
        <Brand size={40} />
        <Loading />
      </Stack>
    </Center>
  );
}
