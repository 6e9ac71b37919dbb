import type { FormEvent } from "react";

/** Read a field of the form that was submitted. Passwords aren't trimmed: a space may be part of one. */
export function field(submitted: FormEvent<HTMLFormElement>, name: string): string {
  const value = new FormData(submitted.currentTarget).get(name);
  const text = typeof value === "string" ? value : "";
  return name === "password" ? text : text.trim();
}

export const SHORTEST_PASSWORD = 8;
