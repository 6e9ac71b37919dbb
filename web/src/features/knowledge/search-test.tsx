import { Alert, Anchor, Badge, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconMoodEmpty, IconQuote, IconSearch } from "@tabler/icons-react";
import { useState } from "react";
import { Passage } from "@/ui/passage";
import { Empty, Failed, Loading } from "@/ui/states";
import styles from "./knowledge.module.css";
import { searchQuery } from "./queries";

/** Ask what a customer would ask, and see what the assistant finds: the same search that answers customers. */
export function SearchTest({ onOpen }: { onOpen(documentId: string): void }) {
  const [text, setText] = useState("");
  const [question, setQuestion] = useState("");
  const found = useQuery(searchQuery(question));
  return (
    <Stack gap="lg">
      <form
        role="search"
        onSubmit={(submitted) => {
          submitted.preventDefault();
          setQuestion(text.trim());
        }}
      >
        <Group gap="xs" align="flex-end">
          <TextInput
            flex={1}
            miw={200}
            size="md"
            label="A customer's question"
            placeholder="How long do I have to return something?"
            leftSection={<IconSearch size={18} />}
            value={text}
            onChange={(changed) => setText(changed.currentTarget.value)}
          />
          <Button type="submit" size="md" disabled={!text.trim()} loading={found.isFetching}>Search</Button>
        </Group>
      </form>
      {question === "" && (
        <Empty icon={IconQuote} title="Try it before your customers do">
          You see the sentence the assistant would quote, how sure it is, and the passages it found. Nothing is stored.
        </Empty>
      )}
      {question !== "" && found.isPending && <Loading label="Searching" />}
      {found.isError && <Failed what="The search failed" error={found.error} onRetry={() => void found.refetch()} />}
      {found.data && question !== "" && <Results found={found.data} onOpen={onOpen} />}
    </Stack>
  );
}

type Found = NonNullable<Awaited<ReturnType<NonNullable<ReturnType<typeof searchQuery>["queryFn"]>>>>;

function Results({ found, onOpen }: { found: Found; onOpen(documentId: string): void }) {
  return (
    <Stack gap="md" aria-live="polite">
      {found.answer ? <Answer answer={found.answer} /> : <Alert color="gray" icon={<IconMoodEmpty />} title="Nothing found" role="status">No document is near this question. The assistant would say so and hand over.</Alert>}
      {found.items.map((hit, index) => (
        <div key={`${hit.document_id}-${index}`} className={styles.passage}>
          <Group justify="space-between" mb={6} wrap="nowrap">
            <Anchor component="button" fw={600} ta="start" onClick={() => onOpen(hit.document_id)}>{hit.title}</Anchor>
            <Text size="xs" c="dimmed">score {hit.score.toFixed(2)}</Text>
          </Group>
          <Passage text={hit.passage} quote={hit.quote ?? undefined} />
        </div>
      ))}
      <Text size="xs" c="dimmed">{found.items.length} passages in {Math.round(found.took_ms)} ms, by {found.methods.join(" and ")}</Text>
    </Stack>
  );
}

function Answer({ answer }: { answer: NonNullable<Found["answer"]> }) {
  const sure = `${Math.round(answer.confidence * 100)} %`;
  return (
    <Alert
      role="status"
      color={answer.would_answer ? "teal" : "orange"}
      icon={<IconQuote />}
      title={answer.would_answer ? "The assistant would answer" : "Not sure enough: the assistant would hand over"}
    >
      <Text>{answer.sentence}</Text>
      <Badge mt="xs" variant="default" tt="none" fw={500}>confidence {sure}</Badge>
    </Alert>
  );
}
