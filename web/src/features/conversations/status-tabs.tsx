import { Tabs } from "@mantine/core";
import type { Status } from "@/platform/api/types";
import styles from "./status-tabs.module.css";
import { STATUS_NAMES } from "./words";

interface Props {
  status: Status;
  counts: Record<Status, number> | undefined;
  onChange(status: Status): void;
}

const ORDER: readonly Status[] = ["open", "pending", "snoozed", "resolved"];
const LARGEST_SHOWN = 999;

export function StatusTabs({ status, counts, onChange }: Props) {
  return (
    <Tabs value={status} onChange={(value) => value && onChange(value as Status)} classNames={{ tab: styles.tab, list: styles.tabs }}>
      <Tabs.List grow aria-label="Status">
        {ORDER.map((one) => (
          <Tabs.Tab key={one} value={one}>
            {STATUS_NAMES[one]}
            {counts && counts[one] > 0 && <span className={styles.count}>{shown(counts[one])}</span>}
          </Tabs.Tab>
        ))}
      </Tabs.List>
    </Tabs>
  );
}

function shown(count: number): string {
  return count > LARGEST_SHOWN ? `${LARGEST_SHOWN}+` : String(count);
}
