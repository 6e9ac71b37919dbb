import { Button, Code, Group, Modal, Radio, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { explain } from "@/platform/api/problem";
import type { Invitation, Role } from "@/platform/api/types";
import { useSession } from "@/platform/session/session";
import { Copy } from "@/ui/copy";
import { useInvite } from "./actions";
import { ROLES, rolesToGive } from "./roles";

export function InviteModal({ isOpen, onClose }: { isOpen: boolean; onClose(): void }) {
  return (
    <Modal opened={isOpen} onClose={onClose} title="Invite a teammate" closeButtonProps={{ "aria-label": "Close" }}>
      <Invite onDone={onClose} />
    </Modal>
  );
}

function Invite({ onDone }: { onDone(): void }) {
  const mine = useSession().user.role;
  const invite = useInvite();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("agent");
  if (invite.data) return <Invited invitation={invite.data} onDone={onDone} />;
  return (
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault();
        invite.mutate({ email: email.trim(), role });
      }}
    >
      <Stack>
        <TextInput
          type="email"
          label="E-mail address"
          required
          data-autofocus
          value={email}
          onChange={(changed) => setEmail(changed.currentTarget.value)}
          error={invite.isError ? explain(invite.error) : null}
        />
        <Radio.Group label="Role" value={role} onChange={(value) => setRole(value as Role)}>
          <Stack gap="xs" mt={6}>
            {rolesToGive(mine).map((one) => <Radio key={one} value={one} label={ROLES[one].name} description={ROLES[one].may} />)}
          </Stack>
        </Radio.Group>
        <Button type="submit" loading={invite.isPending}>Create the invitation</Button>
      </Stack>
    </form>
  );
}

/** Dana sends no mail yet, so the link is handed over by whoever invites. */
function Invited({ invitation, onDone }: { invitation: Invitation; onDone(): void }) {
  return (
    <Stack>
      <Text>Send this link to <b>{invitation.email}</b>. It works once, until it expires.</Text>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <Code block tabIndex={0} role="region" aria-label="Invitation link">{invitation.link}</Code>
      <Group justify="flex-end" gap="xs">
        <Copy text={invitation.link ?? ""} label="Copy the link" />
        <Button onClick={onDone}>Done</Button>
      </Group>
    </Stack>
  );
}
