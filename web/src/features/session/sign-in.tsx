import { Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import { explain } from "@/platform/api/problem";
import { adopt } from "@/platform/session/refresh";
import { AuthCard } from "./auth-card";
import { field } from "./form";

export function SignIn({ onSignedIn }: { onSignedIn(): void }) {
  const login = useMutation({
    mutationFn: (body: { email: string; password: string }) => unwrap(api.POST("/api/v1/auth/login", { body })),
    onSuccess: (session) => {
      adopt(session);
      onSignedIn();
    },
  });
  return (
    <AuthCard
      title="Welcome back"
      about="Sign in to your team's inbox."
      error={login.isError ? explain(login.error) : null}
      other={{ question: "New here?", to: "/signup", label: "Create an organization" }}
    >
      <form
        onSubmit={(submitted) => {
          submitted.preventDefault();
          login.mutate({ email: field(submitted, "email"), password: field(submitted, "password") });
        }}
      >
        <Stack>
          <TextInput name="email" type="email" label="E-mail address" autoComplete="username" required autoFocus />
          <PasswordInput name="password" label="Password" autoComplete="current-password" required />
          <Button type="submit" fullWidth size="md" mt="xs" loading={login.isPending}>Sign in</Button>
        </Stack>
      </form>
    </AuthCard>
  );
}
