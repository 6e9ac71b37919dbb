import { Group, SegmentedControl, Select } from "@mantine/core";
import type { Inbox } from "@/platform/api/types";
import { useSession } from "@/platform/session/session";
import type { Filter } from "./queries";

interface Props {
  filter: Filter;
  inboxes: readonly Inbox[];
  onFilter(filter: Filter): void;
}

/** Everyone's or mine; and which inbox, once there is more than one. */
export function ListFilter({ filter, inboxes, onFilter }: Props) {
  const me = useSession().user.user_id;
  return (
    <Group gap="xs" px="sm" py={8} wrap="nowrap">
      <SegmentedControl
        size="xs"
        aria-label="Whose conversations"
        value={filter.assigneeId ? "mine" : "all"}
        onChange={(value) => onFilter({ ...filter, assigneeId: value === "mine" ? me : undefined })}
        data={[{ value: "all", label: "Everyone" }, { value: "mine", label: "Mine" }]}
      />
      {inboxes.length > 1 && (
        <Select
          size="xs"
          flex={1}
          miw={0}
          clearable
          aria-label="Inbox"
          placeholder="All inboxes"
          value={filter.inboxId ?? null}
          onChange={(value) => onFilter({ ...filter, inboxId: value ?? undefined })}
          data={inboxes.map(({ id, name }) => ({ value: id, label: name }))}
        />
      )}
    </Group>
  );
}
