import { ActionIcon, Badge, Menu, Text } from "@mantine/core";
import { IconDots, IconUserCheck, IconUserOff } from "@tabler/icons-react";
import type { Member, Role } from "@/platform/api/types";
import { useSession } from "@/platform/session/session";
import { useConfirm } from "@/ui/confirm";
import { Teammate } from "@/ui/presence";
import { useChangeMember } from "./actions";
import { rolesToGive, ROLES } from "./roles";
import styles from "./team.module.css";

export function MemberRow({ member, isAdmin }: { member: Member; isAdmin: boolean }) {
  const me = useSession().user;
  const isMe = me.user_id === member.user_id;
  const isMine = isAdmin && !isMe && (me.role === "owner" || member.role !== "owner");
  return (
    <li className={styles.row}>
      <Teammate name={member.name} id={member.user_id} size={36} />
      <div className={styles.grow}>
        <Text fw={550} truncate>{member.name}{isMe && " (you)"}</Text>
        <Text size="sm" c="dimmed" truncate>{member.email}</Text>
      </div>
      {!member.is_active && <Badge variant="light" color="gray" tt="none" fw={550}>Deactivated</Badge>}
      <Badge variant="default" tt="none" fw={550}>{ROLES[member.role].name}</Badge>
      {isMine ? <Actions member={member} myRole={me.role} /> : <div className={styles.noActions} />}
    </li>
  );
}

function Actions({ member, myRole }: { member: Member; myRole: Role }) {
  const change = useChangeMember(member.user_id);
  const [question, ask] = useConfirm();
  const askToDeactivate = () =>
    ask({
      title: `Deactivate ${member.name}?`,
      text: "They are signed out and can't sign in again until you reactivate them. What they wrote stays.",
      verb: "Deactivate",
      onYes: () => change.mutate({ is_active: false }),
    });
  return (
    <>
      <Menu position="bottom-end" width={280}>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={`Change ${member.name}`} loading={change.isPending}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Role</Menu.Label>
          {rolesToGive(myRole).map((role) => (
            <Menu.Item key={role} disabled={role === member.role} onClick={() => change.mutate({ role })}>
              {ROLES[role].name}
              <Text size="xs" c="dimmed">{ROLES[role].may}</Text>
            </Menu.Item>
          ))}
          <Menu.Divider />
          {member.is_active
            ? <Menu.Item color="red" leftSection={<IconUserOff size={16} />} onClick={askToDeactivate}>Deactivate</Menu.Item>
            : <Menu.Item leftSection={<IconUserCheck size={16} />} onClick={() => change.mutate({ is_active: true })}>Reactivate</Menu.Item>}
        </Menu.Dropdown>
      </Menu>
      {question}
    </>
  );
}
