import { Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import { explain, Problem } from "@/platform/api/problem";
import { adopt } from "@/platform/session/refresh";
import { AuthCard } from "./auth-card";
import { field, SHORTEST_PASSWORD } from "./form";

export function SignUp({ onSignedIn }: { onSignedIn(): void }) {
  const signUp = useMutation({
    mutationFn: (body: { email: string; password: string; name: string; organization: string }) =>
      unwrap(api.POST("/api/v1/auth/signup", { body })),
    onSuccess: (session) => {
      adopt(session);
      onSignedIn();
    },
  });
  const wrong = signUp.error instanceof Problem ? signUp.error.fields : {};
  const hasFields = Object.keys(wrong).length > 0;
  return (
    <AuthCard
      title="Create your organization"
      about="Your customers' questions, answered from your own knowledge, with your team beside it."
      error={signUp.isError && !hasFields ? explain(signUp.error) : null}
      other={{ question: "Already have an account?", to: "/signin", label: "Sign in" }}
    >
      <form
        onSubmit={(submitted) => {
          submitted.preventDefault();
          const read = (name: string) => field(submitted, name);
          signUp.mutate({ organization: read("organization"), name: read("name"), email: read("email"), password: read("password") });
        }}
      >
        <Stack>
          <TextInput name="organization" label="Organization" placeholder="Acme Ltd" autoComplete="organization" required maxLength={100} autoFocus error={wrong["organization"]} />
          <TextInput name="name" label="Your name" autoComplete="name" required maxLength={100} error={wrong["name"]} />
          <TextInput name="email" type="email" label="E-mail address" autoComplete="username" required error={wrong["email"]} />
          <PasswordInput
            name="password"
            label="Password"
            description={`At least ${SHORTEST_PASSWORD} characters`}
            autoComplete="new-password"
            required
            minLength={SHORTEST_PASSWORD}
            error={wrong["password"]}
          />
          <Button type="submit" fullWidth size="md" mt="xs" loading={signUp.isPending}>Create the organization</Button>
        </Stack>
      </form>
    </AuthCard>
  );
}
