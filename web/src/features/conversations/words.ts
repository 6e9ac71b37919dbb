import type { Conversation, Message, Status } from "@/platform/api/types";

export const STATUS_NAMES: Record<Status, string> = {
  open: "Open",
  pending: "Assistant",
  snoozed: "Snoozed",
  resolved: "Resolved",
};

export const STATUS_COLORS: Record<Status, string> = { open: "tide", pending: "teal", snoozed: "orange", resolved: "gray" };

/** One line of a list: who said what last. */
export function preview(conversation: Conversation): string {
  const said = conversation.last_text.replaceAll(/\s+/gu, " ").trim();
  if (!said) return "No messages yet";
  if (conversation.last_author === "assistant") return `Assistant: ${said}`;
  return conversation.last_author === "agent" ? `Reply: ${said}` : said;
}

export function contactName(conversation: Conversation): string {
  return conversation.contact.name || conversation.contact.email || "Visitor";
}

/** Whether a message continues the one before it, so that the name isn't repeated. */
export function continues(before: Message | undefined, message: Message): boolean {
  return (
    before !== undefined &&
    before.author === message.author &&
    before.author_id === message.author_id &&
    before.is_private === message.is_private &&
    Date.parse(message.created_at) - Date.parse(before.created_at) < 5 * 60_000
  );
}
