import { Button, Group, Modal, Text } from "@mantine/core";
import { type ReactNode, useState } from "react";

interface Question {
  title: string;
  text: string;
  verb: string;
  /** How to say no, where "Cancel" would be misread. */
  no?: string;
  /** Nothing is lost by saying yes. */
  isHarmless?: boolean;
  onYes(): void;
}

/** Ask before something that can't be undone. Gives the dialog to render, and the function that asks. */
export function useConfirm(): [ReactNode, (question: Question) => void] {
  const [question, setQuestion] = useState<Question | null>(null);
  const [isOpen, setOpen] = useState(false);
  const ask = (next: Question) => {
    setQuestion(next);
    setOpen(true);
  };
  const close = () => setOpen(false);
  const dialog = (
    <Modal opened={isOpen} onClose={close} title={question?.title} closeButtonProps={{ "aria-label": "Close" }}>
      <Text>{question?.text}</Text>
      <Group justify="flex-end" mt="lg" gap="xs">
        <Button variant="default" onClick={close} data-autofocus>{question?.no ?? "Cancel"}</Button>
        <Button
          {...(question?.isHarmless ? {} : { color: "red.9" })}
          onClick={() => {
            close();
            question?.onYes();
          }}
        >
          {question?.verb}
        </Button>
      </Group>
    </Modal>
  );
  return [dialog, ask];
}
