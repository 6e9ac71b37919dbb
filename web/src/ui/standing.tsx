import { type Standing, useStanding } from "@/platform/realtime/presence";
import { Person } from "./person";
import styles from "./standing.module.css";

const NAMES: Record<Standing, string> = { online: "Online", away: "Away" };

/** A dot that says whether somebody is here; none for who isn't. */
export function StandingDot({ standing, className = "" }: { standing: Standing | null; className?: string }) {
  if (!standing) return null;
  const name = NAMES[standing];
  return <span className={`${styles.dot} ${className}`} data-standing={standing} role="img" aria-label={name} title={name} />;
}

/** A member of the team, and whether they are at the console. */
export function Teammate({ name, id, size }: { name: string; id: string; size?: number }) {
  const standing = useStanding(id);
  return (
    <span className={styles.with}>
      <Person name={name} id={id} size={size} />
      <StandingDot standing={standing} className={styles.corner} />
    </span>
  );
}
