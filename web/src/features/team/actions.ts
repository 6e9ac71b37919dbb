import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/platform/api/client";
import type { Role } from "@/platform/api/types";
import { notifyDone, notifyFailed } from "@/ui/notify";
import { putMember } from "./events";
import { keys } from "./queries";

export function useChangeMember(userId: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (change: { role?: Role; is_active?: boolean }) =>
      unwrap(api.PATCH("/api/v1/members/{user_id}", { params: { path: { user_id: userId } }, body: change })),
    onSuccess: (member) => {
      putMember(cache, member);
      notifyDone(`${member.name} was changed.`);
    },
    onError: (error) => notifyFailed("The member was not changed", error),
  });
}

export function useInvite() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (body: { email: string; role: Role }) => unwrap(api.POST("/api/v1/invitations", { body })),
    onSuccess: () => cache.invalidateQueries({ queryKey: keys.invitations }),
  });
}

export function useWithdraw() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) =>
      unwrap(api.DELETE("/api/v1/invitations/{invitation_id}", { params: { path: { invitation_id: id } } })),
    onSuccess: () => cache.invalidateQueries({ queryKey: keys.invitations }),
    onError: (error) => notifyFailed("The invitation was not withdrawn", error),
  });
}
