import { linkParts } from "./link-parts";
import styles from "./linked-text.module.css";

/** A text as it was written, in which addresses can be followed. */
export function LinkedText({ text }: { text: string }) {
  return linkParts(text).map((part, index) =>
    part.isLink ? (
      <a key={index} href={part.text} target="_blank" rel="noopener noreferrer" className={styles.link}>{part.text}</a>
    ) : (
      part.text
    ),
  );
}
