import { Button, VisuallyHidden } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { IconMessage2, IconRocket } from "@tabler/icons-react";
import { ConversationList, ConversationPane, countsQuery, type Filter, ShortcutList } from "@/features/conversations";
import { inboxesQuery } from "@/features/inboxes";
import { membersQuery } from "@/features/team";
import { useSession } from "@/platform/session/session";
import { usePageTitle } from "@/ui/page-title";
import { Empty } from "@/ui/states";
import styles from "./inbox.module.css";

/** The list beside the open conversation; on a narrow screen one of the two. */
export function InboxLayout() {
  const search = useSearch({ from: "/shell/inbox" });
  const { conversationId = null } = useParams({ strict: false });
  const navigate = useNavigate();
  const me = useSession().user.user_id;
  const inboxes = useQuery(inboxesQuery());
  const counts = useQuery(countsQuery());
  usePageTitle("Inbox", counts.data?.unread);
  const filter: Filter = {
    status: search.status ?? "open",
    assigneeId: search.mine ? me : undefined,
    inboxId: search.inbox,
  };
  const choose = ({ status, assigneeId, inboxId }: Filter) =>
    void navigate({
      to: ".",
      search: {
        ...(status === "open" ? {} : { status }),
        ...(assigneeId ? { mine: true as const } : {}),
        ...(inboxId ? { inbox: inboxId } : {}),
      },
    });
  return (
    <div className={styles.inbox} data-open={conversationId !== null || undefined}>
      <VisuallyHidden component="h1">Inbox</VisuallyHidden>
      <div className={styles.list}>
        <ConversationList
          filter={filter}
          onFilter={choose}
          inboxes={inboxes.data ?? []}
          selectedId={conversationId}
          onOpen={(id) => void navigate({ to: "/inbox/$conversationId", params: { conversationId: id }, search })}
          firstSteps={<FirstSteps />}
        />
      </div>
      <div className={styles.pane}><Outlet /></div>
      <ShortcutList />
    </div>
  );
}

export function PickConversation() {
  return (
    <Empty icon={IconMessage2} title="Choose a conversation">
      Press <b>J</b> and <b>K</b> to walk through the list, <b>Enter</b> to open, and <b>?</b> to see all keys.
    </Empty>
  );
}

export function OpenConversation() {
  const { conversationId } = useParams({ from: "/shell/inbox/$conversationId" });
  const search = useSearch({ from: "/shell/inbox" });
  const navigate = useNavigate();
  const members = useQuery(membersQuery());
  const inboxes = useQuery(inboxesQuery());
  return (
    <ConversationPane
      id={conversationId}
      members={members.data ?? []}
      inboxes={inboxes.data ?? []}
      onClose={() => void navigate({ to: "/inbox", search })}
    />
  );
}

function FirstSteps() {
  return (
    <Empty icon={IconRocket} title="No conversation yet" action={<Button component={Link} to="/welcome">Show me the first steps</Button>}>
      Add some knowledge, create an inbox and write to yourself on the demo page: three minutes.
    </Empty>
  );
}
