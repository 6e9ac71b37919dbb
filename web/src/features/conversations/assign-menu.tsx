import { ActionIcon, Menu, Tooltip } from "@mantine/core";
import { IconCheck, IconUserPlus, IconUserX } from "@tabler/icons-react";
import type { Conversation, Member } from "@/platform/api/types";
import { useSession } from "@/platform/session/session";
import { Person } from "@/ui/person";
import { Teammate } from "@/ui/presence";

interface Props {
  conversation: Conversation;
  members: readonly Member[];
  onAssign(id: string | null): void;
}

export function AssignMenu({ conversation, members, onAssign }: Props) {
  const me = useSession().user.user_id;
  const people = members.filter((member) => member.is_active);
  people.sort((one, other) => Number(other.user_id === me) - Number(one.user_id === me) || one.name.localeCompare(other.name));
  return (
    <Menu position="bottom-end" width={240} shadow="md">
      <Menu.Target>
        <Tooltip label={conversation.assignee_name ? `Assigned to ${conversation.assignee_name}` : "Assign"}>
          <ActionIcon variant="default" size="lg" aria-label="Assign">
            {conversation.assignee_id && conversation.assignee_name ? (
              <Person name={conversation.assignee_name} id={conversation.assignee_id} size={24} />
            ) : (
              <IconUserPlus size={18} stroke={1.7} />
            )}
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown mah={360} style={{ overflowY: "auto" }}>
        <Menu.Label>Assign to</Menu.Label>
        {people.map((member) => (
          <Menu.Item
            key={member.user_id}
            leftSection={<Teammate name={member.name} id={member.user_id} size={24} />}
            rightSection={conversation.assignee_id === member.user_id ? <IconCheck size={16} /> : null}
            onClick={() => onAssign(member.user_id)}
          >
            {member.user_id === me ? `${member.name} (you)` : member.name}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item leftSection={<IconUserX size={18} />} disabled={!conversation.assignee_id} onClick={() => onAssign(null)}>
          Nobody
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
