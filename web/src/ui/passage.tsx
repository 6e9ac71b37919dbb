import { Text } from "@mantine/core";
import styles from "./passage.module.css";

/** A passage word for word, with the sentence that was quoted marked in it. */
export function Passage({ text, quote }: { text: string; quote?: string }) {
  const start = quote ? text.indexOf(quote) : -1;
  if (!quote || start < 0) return <Text className={styles.passage}>{text}</Text>;
  return (
    <Text className={styles.passage}>
      {text.slice(0, start)}
      <mark className={styles.quote}>{quote}</mark>
      {text.slice(start + quote.length)}
    </Text>
  );
}
