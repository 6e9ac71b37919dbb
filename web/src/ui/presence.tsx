import { type PresenceState, usePresenceState } from "@/platform/realtime/presence";
import { Person } from "./person";
import styles from "./presence.module.css";

const NAMES: Record<PresenceState, string> = { online: "Online", away: "Away" };

/** A dot that says whether somebody is here; none for who isn't. */
export function PresenceDot({ state, className = "" }: { state: PresenceState | null; className?: string }) {
  if (!state) return null;
  const name = NAMES[state];
  return <span className={`${styles.dot} ${className}`} data-presence={state} role="img" aria-label={name} title={name} />;
}

/** A member of the team, and whether they are at the console. */
export function Teammate({ name, id, size }: { name: string; id: string; size?: number }) {
  const state = usePresenceState(id);
  return (
    <span className={styles.with}>
      <Person name={name} id={id} size={size} />
      <PresenceDot state={state} className={styles.corner} />
    </span>
  );
}
