import { Loader } from "@mantine/core";
import type { Draft } from "@/platform/realtime/frames";
import type { Activity } from "@/platform/realtime/ephemera";
import { AssistantFace } from "@/ui/person";
import styles from "./thread.module.css";

/** The assistant's answer while it is being written. */
export function DraftBubble({ draft }: { draft: Draft }) {
  return (
    // The finished message is read out; a growing draft would be read out again with every word.
    <article className={styles.row} aria-live="off" aria-label="The assistant is writing">
      <div className={styles.face}><AssistantFace size={28} /></div>
      <div className={styles.column}>
        <div className={styles.byline}><span className={styles.author}>Assistant</span> writing…</div>
        <div className={styles.bubble} data-author="assistant">
          <div className={`${styles.text} ${styles.caret}`}>{draft.text}</div>
        </div>
      </div>
    </article>
  );
}

export function TypingLine({ activity, isDrafting }: { activity: Activity; isDrafting: boolean }) {
  const typists = Object.values(activity.typing).filter(({ who }) => who !== "assistant" || !isDrafting);
  const names = typists.map(({ who, name }) => (who === "assistant" ? "The assistant" : name || "The customer"));
  return (
    <div className={styles.typing} data-typing={names.length > 0 || undefined}>
      {names.length > 0 && (
        <>
          <Loader type="dots" size={18} color="gray" aria-hidden />
          <span>{sentence(names)}</span>
        </>
      )}
    </div>
  );
}

function sentence(names: readonly string[]): string {
  if (names.length === 1) return `${names[0]} is typing…`;
  return names.length === 2 ? `${names[0]} and ${names[1]} are typing…` : "Several people are typing…";
}
