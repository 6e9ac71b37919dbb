import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { apply, emptyState, type State } from "../src/state";
import type { CommittedEvent, Message, Standing } from "../src/wire";

/** What one customer went through: written by the server's own test, by real actions. */
const VISIT = join(import.meta.dirname, "../../tests/law/visit.json");

type Seen = Standing & { messages: Message[] };

const visit = JSON.parse(readFileSync(VISIT, "utf8")) as { before: Seen; events: CommittedEvent[]; after: Seen };

function opened({ status, assignee_name, messages }: Seen, cursor: number): State {
  return apply(emptyState(), { type: "page", items: messages, cursor, standing: { status, assignee_name } });
}

function shown({ standing, messages }: State) {
  return { status: standing?.status, assignee_name: standing?.assignee_name, messages };
}

const wanted = (({ status, assignee_name, messages }: Seen) => ({ status, assignee_name, messages }))(visit.after);

it("shows after the events what would be fetched", () => {
  let state = opened(visit.before, 0);
  for (const [at, event] of visit.events.entries()) state = apply(state, { type: "event", cursor: at + 1, event });
  expect(shown(state)).toEqual(wanted);
});

it("shows it also when each event comes twice, and all of them once more", () => {
  let state = opened(visit.before, 0);
  const numbered = [...visit.events.entries()];
  for (const [at, event] of [...numbered.flatMap((one) => [one, one]), ...numbered]) {
    state = apply(state, { type: "event", cursor: at + 1, event });
  }
  expect(shown(state)).toEqual(wanted);
});

it("shows it also when what was fetched is newer than the events", () => {
  let state = opened(visit.after, visit.events.length);
  for (const [at, event] of visit.events.entries()) state = apply(state, { type: "event", cursor: at + 1, event });
  expect(shown(state)).toEqual(wanted);
});
