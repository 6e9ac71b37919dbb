const PREFIX = "dana-unsent:";

/** What was written but not sent, per conversation: kept while one looks at another, and through a reload. */
export function unsent(conversationId: string): string {
  try {
    return sessionStorage.getItem(PREFIX + conversationId) ?? "";
  } catch {
    return "";
  }
}

export function keepUnsent(conversationId: string, text: string): void {
  try {
    if (text) sessionStorage.setItem(PREFIX + conversationId, text);
    else sessionStorage.removeItem(PREFIX + conversationId);
  } catch {
    // A full or forbidden storage only costs the safety net.
  }
}

export function forgetUnsent(conversationId: string): void {
  keepUnsent(conversationId, "");
}
