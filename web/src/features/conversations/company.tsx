import { Avatar, Tooltip } from "@mantine/core";
import { conversationChannel } from "@/platform/realtime/channels";
import { type PresenceState, usePeople } from "@/platform/realtime/presence";
import { useSession } from "@/platform/session/session";
import { Person } from "@/ui/person";
import styles from "./pane.module.css";

const FACES = 3;

/** Who else of the team has this conversation on the screen, so that two don't answer at once. */
export function Company({ conversationId }: { conversationId: string }) {
  const me = useSession().user.user_id;
  const people = usePeople(conversationChannel(conversationId));
  const others = people.filter(({ id, kind }) => kind === "member" && id !== me);
  const text = sentence(others.map(({ name }) => name));
  return (
    <div className={styles.company} role="status">
      {others.length > 0 && (
        <Tooltip label={text} events={{ hover: true, focus: true, touch: true }}>
          <span className={styles.companions}>
            <Avatar.Group spacing={4}>
              {others.slice(0, FACES).map(({ id, name }) => <Person key={id} id={id} name={name} size={26} />)}
            </Avatar.Group>
            <span className={styles.companyText}>{text}</span>
          </span>
        </Tooltip>
      )}
    </div>
  );
}

/** Whether the customer has the chat's page open now. */
export function useCustomerPresence(conversationId: string): PresenceState | null {
  const visitors = usePeople(conversationChannel(conversationId)).filter(({ kind }) => kind === "visitor");
  if (visitors.length === 0) return null;
  return visitors.some(({ state }) => state === "online") ? "online" : "away";
}

function sentence(names: readonly string[]): string {
  if (names.length === 1) return `${names[0]} is also here`;
  return names.length === 2 ? `${names[0]} and ${names[1]} are also here` : `${names.length} others are also here`;
}
