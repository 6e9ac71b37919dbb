import { ActionIcon, Badge, Text, Title, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconMail, IconX } from "@tabler/icons-react";
import type { Invitation } from "@/platform/api/types";
import { CopyIcon } from "@/ui/copy";
import { Failed } from "@/ui/states";
import { fullTime } from "@/ui/time";
import { useWithdraw } from "./actions";
import { invitationsQuery } from "./queries";
import { ROLES } from "./roles";
import styles from "./team.module.css";

/** Invitations nobody has accepted yet. */
export function Invitations() {
  const found = useQuery(invitationsQuery());
  if (found.isError) return <Failed what="The invitations could not be loaded" error={found.error} onRetry={() => void found.refetch()} />;
  if (!found.data || found.data.length === 0) return null;
  return (
    <section aria-labelledby="invitations">
      <Title order={2} id="invitations" mb="sm">Invited</Title>
      <ul className={styles.rows}>
        {found.data.map((invitation) => <InvitationRow key={invitation.id} invitation={invitation} />)}
      </ul>
    </section>
  );
}

function InvitationRow({ invitation }: { invitation: Invitation }) {
  const withdraw = useWithdraw();
  return (
    <li className={styles.row}>
      <IconMail size={22} stroke={1.5} aria-hidden />
      <div className={styles.grow}>
        <Text fw={550} truncate>{invitation.email}</Text>
        <Text size="sm" c="dimmed">Valid until {fullTime(invitation.expires_at)}</Text>
      </div>
      <Badge variant="default" tt="none" fw={550}>{ROLES[invitation.role].name}</Badge>
      {invitation.link && <CopyIcon text={invitation.link} label={`Copy the link for ${invitation.email}`} />}
      <Tooltip label="Withdraw">
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={`Withdraw the invitation of ${invitation.email}`}
          loading={withdraw.isPending}
          onClick={() => withdraw.mutate(invitation.id)}
        >
          <IconX size={18} />
        </ActionIcon>
      </Tooltip>
    </li>
  );
}
