import { Button, SegmentedControl, Text, Textarea } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { IconLock, IconSend2 } from "@tabler/icons-react";
import { type KeyboardEvent, type RefObject, useState } from "react";
import type { Conversation } from "@/platform/api/types";
import styles from "./composer.module.css";
import { forgetUnsent, keepUnsent, unsent } from "./unsent";
import { send } from "./outbox";
import { useTypingSign } from "./typing-sign";

export type ComposerMode = "reply" | "note";

interface Props {
  conversation: Conversation;
  mode: ComposerMode;
  onMode(mode: ComposerMode): void;
  inputRef: RefObject<HTMLTextAreaElement | null>;
}

const LONGEST = 10_000;
const LENGTH_SHOWN_FROM = 9_000;

/** Where an agent writes: a reply for the customer or a note for colleagues. Enter sends. */
export function Composer({ conversation, mode, onMode, inputRef }: Props) {
  const cache = useQueryClient();
  const [text, setText] = useState(() => unsent(conversation.id));
  const typing = useTypingSign(conversation.id);
  const isNote = mode === "note";
  const isSendable = text.trim() !== "" && text.trim().length <= LONGEST;
  const write = (next: string) => {
    setText(next);
    keepUnsent(conversation.id, next);
    typing(!isNote && next.trim() !== "");
  };
  const submit = () => {
    if (!isSendable) return;
    send(cache, { conversationId: conversation.id, text: text.trim(), isPrivate: isNote, afterSeq: conversation.last_seq });
    setText("");
    forgetUnsent(conversation.id);
    typing(false);
    inputRef.current?.focus();
  };
  return (
    <form
      className={styles.composer}
      data-note={isNote || undefined}
      onSubmit={(submitted) => {
        submitted.preventDefault();
        submit();
      }}
    >
      <Textarea
        ref={inputRef}
        variant="unstyled"
        aria-label={isNote ? "Private note" : "Reply"}
        placeholder={isNote ? "A note only your team sees" : placeholder(conversation)}
        autosize
        minRows={2}
        maxRows={9}
        value={text}
        onChange={(changed) => write(changed.currentTarget.value)}
        onKeyDown={(pressed) => isSendKey(pressed) && (pressed.preventDefault(), submit())}
        onBlur={() => typing(false)}
        classNames={{ input: styles.input }}
      />
      <div className={styles.foot}>
        <SegmentedControl
          size="xs"
          aria-label="What to write"
          value={mode}
          onChange={(value) => onMode(value as ComposerMode)}
          data={[{ value: "reply", label: "Reply" }, { value: "note", label: "Private note" }]}
        />
        <Hint length={text.trim().length} />
        <Button type="submit" size="xs" ml="auto" disabled={!isSendable} leftSection={isNote ? <IconLock size={15} /> : <IconSend2 size={15} />}>
          {isNote ? "Add note" : "Send"}
        </Button>
      </div>
    </form>
  );
}

function Hint({ length }: { length: number }) {
  if (length > LENGTH_SHOWN_FROM) {
    return <Text size="xs" flex={1} ta="right" c={length > LONGEST ? "red" : "dimmed"} role="status">{length} of {LONGEST}</Text>;
  }
  return <Text size="xs" c="dimmed" flex={1} ta="right" truncate visibleFrom="lg">Enter sends, Shift+Enter for a new line</Text>;
}

/** Enter while a word is being composed (Japanese, Chinese) chooses the word; it must not send. */
function isSendKey(pressed: KeyboardEvent): boolean {
  return pressed.key === "Enter" && !pressed.shiftKey && !pressed.nativeEvent.isComposing;
}

function placeholder({ status }: Conversation): string {
  if (status === "pending") return "Reply to take over from the assistant…";
  return status === "resolved" ? "Reply to reopen the conversation…" : "Write a reply…";
}
