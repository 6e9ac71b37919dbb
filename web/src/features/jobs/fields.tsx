import { NativeSelect, Text } from "@mantine/core";
import { explain } from "@/platform/api/problem";
import type { Inbox } from "@/platform/api/types";

interface InboxFieldProps {
  inboxes: readonly Inbox[];
  value: string;
  onChange(id: string): void;
  label?: string;
  /** Whether "all" may be chosen. */
  hasAll?: boolean;
}

export function InboxField({ inboxes, value, onChange, label = "Inbox", hasAll = false }: InboxFieldProps) {
  const options = inboxes.map(({ id, name }) => ({ value: id, label: name }));
  return (
    <NativeSelect
      label={label}
      data={hasAll ? [{ value: "", label: "All inboxes" }, ...options] : options}
      value={value}
      onChange={(changed) => onChange(changed.currentTarget.value)}
    />
  );
}

export function Refusal({ error }: { error: unknown }) {
  return <Text role="alert" size="sm" c="var(--mantine-color-error)">{explain(error)}</Text>;
}
