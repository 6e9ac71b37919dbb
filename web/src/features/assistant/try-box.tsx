import { Badge, Button, Card, Group, Stack, Text, TextInput, Title } from "@mantine/core";
import { useState } from "react";
import { Citations } from "@/ui/citations";
import { AssistantFace } from "@/ui/person";
import { Failed } from "@/ui/states";
import { useTry } from "./queries";
import styles from "./try-box.module.css";

const ACTIONS = {
  reply: { name: "Answers", color: "teal" },
  clarify: { name: "Asks back", color: "tide" },
  hand_over: { name: "Hands over", color: "orange" },
} as const;

/** Ask the assistant as a customer would; the same path as in production, and nothing is stored. */
export function TryBox({ name }: { name: string }) {
  const attempt = useTry();
  const [question, setQuestion] = useState("");
  return (
    <Card withBorder padding="lg" component="section" className={styles.box} aria-labelledby="try">
      <Title order={2} id="try">Try it</Title>
      <Text size="sm" c="dimmed" mb="md">Answers with the saved settings. No customer sees it, and nothing is stored.</Text>
      <form
        onSubmit={(submitted) => {
          submitted.preventDefault();
          if (question.trim()) attempt.mutate(question.trim());
        }}
      >
        <Group gap="xs" align="flex-end">
          <TextInput flex={1} miw={160} label="Question" placeholder="Do you ship to Norway?" value={question} onChange={(changed) => setQuestion(changed.currentTarget.value)} />
          <Button type="submit" loading={attempt.isPending} disabled={!question.trim()}>Ask</Button>
        </Group>
      </form>
      <div aria-live="polite">
        {attempt.isError && <Failed what="The assistant could not answer" error={attempt.error} onRetry={() => attempt.mutate(attempt.variables)} />}
        {attempt.data && <Answer name={name} answer={attempt.data} />}
      </div>
    </Card>
  );
}

function Answer({ name, answer }: { name: string; answer: NonNullable<ReturnType<typeof useTry>["data"]> }) {
  const { name: does, color } = ACTIONS[answer.action];
  return (
    <Stack gap="xs" mt="lg">
      <Group gap="xs"><AssistantFace size={28} /><Text fw={600} size="sm">{name}</Text><Badge variant="light" color={color} tt="none" fw={550}>{does}</Badge></Group>
      <div className={styles.answer}>
        {answer.text}
        <Citations citations={answer.citations} />
      </div>
      <Text size="xs" c="dimmed">Confidence {Math.round(answer.confidence * 100)} %, in {Math.round(answer.took_ms)} ms</Text>
    </Stack>
  );
}
