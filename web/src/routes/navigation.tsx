import { Badge, Tooltip } from "@mantine/core";
import { Link, type LinkProps } from "@tanstack/react-router";
import { IconBook2, IconChecklist, IconInbox, IconRocket, IconSparkles, IconUsers, IconWorld } from "@tabler/icons-react";
import type { ComponentType, ReactNode } from "react";
import { ProfileMenu } from "@/features/session";
import { useIsAdmin } from "@/platform/session/session";
import { Brand } from "@/ui/brand";
import styles from "./navigation.module.css";

interface Props {
  unread: number;
  /** Until the first conversation is resolved, the first steps stay at hand. */
  isNew: boolean;
}

export function Navigation({ unread, isNew }: Props) {
  const isAdmin = useIsAdmin();
  return (
    <nav className={styles.navigation} aria-label="Main">
      <Link to="/inbox" className={styles.brand} aria-label="Dana, to the inbox"><Brand /></Link>
      <ul className={styles.items}>
        <Item to="/inbox" icon={IconInbox} name="Inbox" after={unread > 0 && <Unread count={unread} />} />
        <Item to="/knowledge" icon={IconBook2} name="Knowledge" />
        {isAdmin && <Item to="/assistant" icon={IconSparkles} name="Assistant" />}
        <Item to="/inboxes" icon={IconWorld} name="Inboxes" />
        <Item to="/team" icon={IconUsers} name="Team" />
        {isAdmin && <Item to="/jobs" icon={IconChecklist} name="Jobs" />}
        {isAdmin && isNew && <Item to="/welcome" icon={IconRocket} name="First steps" isMinor />}
      </ul>
      <div className={styles.profile}><ProfileMenu /></div>
    </nav>
  );
}

interface ItemProps {
  to: NonNullable<LinkProps["to"]>;
  icon: ComponentType<{ size?: number; stroke?: number }>;
  name: string;
  after?: ReactNode;
  isMinor?: boolean;
}

function Item({ to, icon: Icon, name, after, isMinor = false }: ItemProps) {
  return (
    <li data-minor={isMinor || undefined}>
      <Tooltip label={name} position="right" classNames={{ tooltip: styles.tip ?? "" }}>
        <Link to={to} className={styles.item} activeProps={{ "aria-current": "page" }}>
          <Icon size={20} stroke={1.7} />
          <span className={styles.name}>{name}</span>
          {after}
        </Link>
      </Tooltip>
    </li>
  );
}

function Unread({ count }: { count: number }) {
  return <Badge size="sm" className={styles.unread ?? ""} aria-label={`${count} unread`}>{count > 99 ? "99+" : count}</Badge>;
}
