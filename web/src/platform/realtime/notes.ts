import type { LinkState } from "./connection";
import type { EventFrame, News, Saying } from "./frames";

/** What one tab wants of the connection that all share. */
export interface Want {
  tab: string;
  channels: readonly string[];
  /** Whether somebody is at this tab now. */
  isActive: boolean;
}

/** What tabs of one person say to each other. */
export type Note =
  // From the leader:
  | { name: "lead"; tab: string }
  | { name: "link"; link: LinkState }
  /** `previous` is the leader's cursor before this frame; null when there is nothing to miss. */
  | { name: "frame"; frame: News; previous: number | null }
  /** What one tab has missed, or null: it must fetch. */
  | { name: "replay"; to: string; frames: EventFrame[] | null; cursor: number }
  // To the leader:
  | { name: "want"; want: Want; cursor: number }
  | { name: "since"; tab: string; cursor: number }
  | { name: "say"; saying: Saying }
  | { name: "retry" }
  | { name: "ask" }
  | { name: "gone"; tab: string };

/** The other tabs of the same person in this browser. */
export interface Neighbours {
  post(note: Note): void;
  listen(hear: (note: Note) => void): () => void;
  /** Stand for leader until the answer is called; one tab at a time is it. `lost`: another took it away. */
  lead(office: { begin(): void; lost(): void }): () => void;
  /** Become leader though another is: it doesn't answer. */
  steal(): void;
  /** Call once when a tab has ended, however it ended. */
  whenGone(tab: string, call: () => void): void;
}
