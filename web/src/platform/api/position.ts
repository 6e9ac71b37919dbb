import { session } from "@/platform/session/session";

/** Sent by who carries positions and has none yet. */
const ANYTHING = "any";
const HEADER = "dana-position";

/** For browsers that forbid storage: then each tab knows only its own. */
const here = new Map<string, string>();

/**
 * How far this browser has seen its organization. The server may answer from a replica, and never from one that
 * is further behind than this. A greater text is a later position; all tabs share it, and a reload keeps it.
 */
export function keepPosition(text: string | null | undefined): void {
  const name = entry();
  if (!text || !name || text <= (known(name) ?? "")) return;
  here.set(name, text);
  try {
    localStorage.setItem(name, text);
  } catch {
    // Forbidden or full: this tab still knows.
  }
}

/** Say with a request what its answer must contain. */
export function sendPosition(headers: Headers): void {
  const name = entry();
  if (name) headers.set(HEADER, known(name) ?? ANYTHING);
}

export function receivePosition(headers: Headers): void {
  keepPosition(headers.get(HEADER));
}

function known(name: string): string | undefined {
  const mine = here.get(name) ?? "";
  let shared = "";
  try {
    shared = localStorage.getItem(name) ?? "";
  } catch {
    // Forbidden.
  }
  return (mine > shared ? mine : shared) || undefined;
}

function entry(): string | null {
  const organization = session.get()?.organization_id;
  return organization ? `dana-position:${organization}` : null;
}
