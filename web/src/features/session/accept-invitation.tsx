import { Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { IconMailOff } from "@tabler/icons-react";
import { api, unwrap } from "@/platform/api/client";
import { explain, Problem } from "@/platform/api/problem";
import { adopt } from "@/platform/session/refresh";
import { Empty, Failed, Loading } from "@/ui/states";
import { AuthCard } from "./auth-card";
import { field, SHORTEST_PASSWORD } from "./form";

/** Where an invitation's link leads. */
export function AcceptInvitation({ token, onSignedIn }: { token: string; onSignedIn(): void }) {
  const found = useQuery({
    queryKey: ["invitation", token],
    queryFn: () => unwrap(api.GET("/api/v1/auth/invitations/{token}", { params: { path: { token } } })),
  });
  if (found.isPending) return <main><Loading label="Loading the invitation" /></main>;
  if (found.isError && found.error instanceof Problem && found.error.status < 500 && found.error.status !== 0) {
    return <main><Empty level={1} icon={IconMailOff} title="This invitation can't be used">{explain(found.error)} Ask whoever invited you for a new link.</Empty></main>;
  }
  if (found.isError) return <main><Failed what="The invitation could not be loaded" error={found.error} onRetry={() => void found.refetch()} /></main>;
  return <Accept token={token} email={found.data.email} organization={found.data.organization_name} onSignedIn={onSignedIn} />;
}

function Accept({ token, email, organization, onSignedIn }: { token: string; email: string; organization: string; onSignedIn(): void }) {
  const accept = useMutation({
    mutationFn: (body: { name: string; password: string }) =>
      unwrap(api.POST("/api/v1/auth/invitations/{token}/accept", { params: { path: { token } }, body })),
    onSuccess: (session) => {
      adopt(session);
      onSignedIn();
    },
  });
  return (
    <AuthCard title={`Join ${organization}`} about="Choose a name your colleagues and customers will see, and a password." error={accept.isError ? explain(accept.error) : null}>
      <form
        onSubmit={(submitted) => {
          submitted.preventDefault();
          accept.mutate({ name: field(submitted, "name"), password: field(submitted, "password") });
        }}
      >
        <Stack>
          <TextInput label="E-mail address" type="email" autoComplete="username" value={email} readOnly />
          <TextInput name="name" label="Your name" autoComplete="name" required maxLength={100} autoFocus />
          <PasswordInput name="password" label="Password" description={`At least ${SHORTEST_PASSWORD} characters`} autoComplete="new-password" required minLength={SHORTEST_PASSWORD} />
          <Button type="submit" fullWidth size="md" mt="xs" loading={accept.isPending}>Join</Button>
        </Stack>
      </form>
    </AuthCard>
  );
}
