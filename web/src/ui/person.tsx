import { Avatar } from "@mantine/core";
import { IconSparkles } from "@tabler/icons-react";

const COLORS = ["indigo", "teal", "grape", "orange", "cyan", "pink", "blue", "violet"] as const;

/** A person's initials on a colour of their own that never changes. */
export function Person({ name, id, size = 36 }: { name: string; id: string; size?: number }) {
  return (
    <Avatar size={size} radius="xl" color={COLORS[sum(id) % COLORS.length]} variant="light" name={name} aria-hidden alt="">
      {initials(name)}
    </Avatar>
  );
}

export function AssistantFace({ size = 36 }: { size?: number }) {
  return (
    <Avatar size={size} radius="xl" color="teal" variant="light" aria-hidden alt="">
      <IconSparkles size={size * 0.52} stroke={1.7} />
    </Avatar>
  );
}

export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const picked = words.length > 1 ? [words[0], words.at(-1)] : words;
  return picked.map((word) => [...(word ?? "")][0]?.toUpperCase() ?? "").join("") || "?";
}

function sum(text: string): number {
  let total = 0;
  for (const character of text) total = (total * 31 + (character.codePointAt(0) ?? 0)) % 9973;
  return total;
}
