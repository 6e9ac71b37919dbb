import { Button, Skeleton, Stack, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { IconUserPlus } from "@tabler/icons-react";
import { useIsAdmin } from "@/platform/session/session";
import { Page } from "@/ui/page";
import { Failed } from "@/ui/states";
import { Invitations } from "./invitations";
import { InviteModal } from "./invite-modal";
import { MemberRow } from "./member-row";
import { membersQuery } from "./queries";
import styles from "./team.module.css";

export function TeamPage() {
  const isAdmin = useIsAdmin();
  const found = useQuery(membersQuery());
  const [isInviting, inviting] = useDisclosure(false);
  return (
    <Page
      title="Team"
      about="The people who answer customers together with the assistant."
      actions={isAdmin && <Button leftSection={<IconUserPlus size={16} />} onClick={inviting.open}>Invite</Button>}
    >
      <Stack gap="xl">
        <section aria-labelledby="members">
          <Title order={2} id="members" mb="sm">Members</Title>
          {found.isPending && <Skeleton h={120} role="status" aria-label="Loading members" />}
          {found.isError && <Failed what="The members could not be loaded" error={found.error} onRetry={() => void found.refetch()} />}
          {found.data && (
            <ul className={styles.rows}>
              {found.data.map((member) => <MemberRow key={member.user_id} member={member} isAdmin={isAdmin} />)}
            </ul>
          )}
        </section>
        {isAdmin && <Invitations />}
      </Stack>
      {isAdmin && <InviteModal isOpen={isInviting} onClose={inviting.close} />}
    </Page>
  );
}
