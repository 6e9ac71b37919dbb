import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";

export const keys = { members: ["team", "members"] as const, invitations: ["team", "invitations"] as const };

export function membersQuery() {
  return queryOptions({
    queryKey: keys.members,
    queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/members", { signal }))).items,
  });
}

export function invitationsQuery() {
  return queryOptions({
    queryKey: keys.invitations,
    // Only acceptance is an event; other admins' invitations are read afresh with every visit.
    staleTime: 0,
    queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/invitations", { signal }))).items,
  });
}
