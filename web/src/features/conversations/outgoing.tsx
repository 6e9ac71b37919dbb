import { Anchor, Loader } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import styles from "./thread.module.css";
import { discard, type Outgoing, sendAgain } from "./outbox";

/** A message on its way: shown at once, and plainly marked until the server has it. */
export function OutgoingBubble({ outgoing }: { outgoing: Outgoing }) {
  return (
    <article className={styles.row} data-mine data-continued aria-label="Your message, not sent yet">
      <div className={styles.face} />
      <div className={styles.column}>
        <div
          className={styles.bubble}
          data-author="agent"
          data-private={outgoing.isPrivate || undefined}
          data-unsent
          data-failed={outgoing.state === "failed" || undefined}
        >
          <div className={styles.text}>{outgoing.text}</div>
        </div>
        <div className={styles.under} role="status"><Standing outgoing={outgoing} /></div>
      </div>
    </article>
  );
}

function Standing({ outgoing }: { outgoing: Outgoing }) {
  const cache = useQueryClient();
  if (outgoing.state === "sending") return "Sending…";
  if (outgoing.state === "waiting") {
    return <><Loader size={12} color="gray" aria-hidden /> Waiting for the connection; it will be sent.</>;
  }
  return (
    <>
      <span className={styles.problem}>Not sent: {outgoing.error}</span>
      <Anchor component="button" size="xs" onClick={() => sendAgain(cache, outgoing)}>Try again</Anchor>
      <Anchor component="button" size="xs" onClick={() => discard(outgoing.key)}>Delete</Anchor>
    </>
  );
}
