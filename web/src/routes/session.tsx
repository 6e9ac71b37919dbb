import { useParams, useRouter, useSearch } from "@tanstack/react-router";
import { AcceptInvitation, SignIn, SignUp } from "@/features/session";

export function SignInPage() {
  const { from } = useSearch({ from: "/signin" });
  const router = useRouter();
  return <SignIn onSignedIn={() => router.history.push(from ?? "/inbox")} />;
}

export function SignUpPage() {
  const router = useRouter();
  return <SignUp onSignedIn={() => void router.navigate({ to: "/welcome" })} />;
}

export function InvitePage() {
  const { token } = useParams({ from: "/invite/$token" });
  const router = useRouter();
  return <AcceptInvitation token={token} onSignedIn={() => void router.navigate({ to: "/inbox" })} />;
}
