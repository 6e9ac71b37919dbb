/** Every word the widget says by itself, in one place. */

import type { State } from "./state";

export const words = {
  open: "Open chat",
  close: "Close chat",
  messages: "Messages",
  write: "Write a message",
  send: "Send",
  sending: "Sending…",
  waiting: "Not sent yet. It goes out as soon as you are back online.",
  retry: "Try again",
  discard: "Remove",
  failed: "Not sent.",
  sources: "Sources",
  showSource: "Show the source",
  back: "Back to the chat",
  passageFrom: "Quoted from",
  you: "You",
  assistant: "Assistant",
  offline: "Connecting… what you write is kept and sent.",
  missing: "This chat is not available.",
  title: "Chat with us",
};

/** One line below the title: who is on the other side right now. */
export function whoAnswers(state: State): string {
  const { standing, inbox } = state;
  if (state.isInboxMissing) return words.missing;
  if (standing === null) return inbox?.is_assistant_enabled ? "Our assistant answers right away" : "We are glad to help";
  if (standing.status === "resolved") return "Resolved. Write again at any time.";
  if (standing.assignee_name !== null) return `You are talking with ${standing.assignee_name}`;
  if (standing.status === "pending") return "You are talking with our assistant";
  return "A person will answer here";
}

export function isTyping(name: string): string {
  return `${name || words.assistant} is typing`;
}

export function openWithUnread(count: number): string {
  return count === 0 ? words.open : `${words.open}, ${count} unread`;
}

export function timeOf(iso: string): string {
  const at = new Date(iso);
  const isToday = at.toDateString() === new Date().toDateString();
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return isToday ? time : `${at.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}
