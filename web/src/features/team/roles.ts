import type { Role } from "@/platform/api/types";

export const ROLES: Record<Role, { name: string; may: string }> = {
  owner: { name: "Owner", may: "Everything, and who else is an owner" },
  admin: { name: "Admin", may: "Knowledge, inboxes, the assistant and the team" },
  agent: { name: "Agent", may: "Conversations with customers" },
};

/** Only an owner makes owners. */
export function rolesToGive(mine: Role): Role[] {
  return mine === "owner" ? ["agent", "admin", "owner"] : ["agent", "admin"];
}
