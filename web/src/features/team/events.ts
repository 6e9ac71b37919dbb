import type { QueryClient } from "@tanstack/react-query";
import type { Member } from "@/platform/api/types";
import { placed } from "@/platform/pages";
import { invalidateSoon } from "@/platform/query";
import type { DanaEvent } from "@/platform/realtime/frames";
import { session } from "@/platform/session/session";
import { keys } from "./queries";

export function applyEvent(cache: QueryClient, event: DanaEvent): void {
  if (event.type !== "member_joined" && event.type !== "member_changed") return;
  putMember(cache, event.member);
  // What one may do here follows one's role at once, not only with the next token.
  session.set((mine) => (mine?.user.user_id === event.member.user_id ? { ...mine, user: event.member } : mine));
  if (event.type === "member_joined") invalidateSoon(cache, keys.invitations);
}

/** Replace a member, or put a new one where it belongs: whoever was in another organization before is older here, too. */
export function putMember(cache: QueryClient, member: Member): void {
  cache.setQueryData<Member[]>(keys.members, (before) => before && placeMember(before, member));
}

export function placeMember(before: readonly Member[], member: Member): Member[] {
  const isKnown = before.some(({ user_id }) => user_id === member.user_id);
  return isKnown ? before.map((one) => (one.user_id === member.user_id ? member : one)) : placed(before, member, (one, other) => one.user_id < other.user_id);
}
